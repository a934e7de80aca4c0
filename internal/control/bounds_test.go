package control

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// Whoever listens to the log names no more types than there are: each event is
// held against all of them.
func TestEventTypesAreBounded(t *testing.T) {
	t.Parallel()
	types := make([]string, maxEventTypes)
	for i := range types {
		types[i] = "message.sent"
	}
	_, err := EventQuery{Types: types}.Filter(&omni.APIKey{})
	require.NoError(t, err)
	var refused *Error
	_, err = EventQuery{Types: append(types, "turn.*,chat.*")}.Filter(&omni.APIKey{})
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "type", refused.Fields[0].Field)
}

// Those who wait for an outcome ask the database: of very many, the last ones
// are answered at once.
func TestWaitersAreBounded(t *testing.T) {
	t.Parallel()
	m := &Messages{waiting: make(chan struct{}, 1)}
	m.waiting <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	status, err := m.awaitOutcome(ctx, "default", &omni.OutboundAccepted{Status: omni.StatusQueued, Parts: 1}, time.Minute)
	require.NoError(t, err)
	require.Equal(t, omni.StatusQueued, status)
	require.NoError(t, ctx.Err())
}

type oneAgent struct{ AgentStore }

func (oneAgent) Agent(_ context.Context, id uuid.UUID) (*omni.Agent, error) {
	return &omni.Agent{ID: id, TenantID: "default", Config: omni.DefaultAgent()}, nil
}

type echoing struct{}

func (echoing) Reply(context.Context, omni.AgentRequest) (omni.AgentReply, error) {
	return omni.AgentReply{Text: "hi"}, nil
}

// Trying agents takes no more connections than so many.
func TestAgentTestsAreBounded(t *testing.T) {
	t.Parallel()
	s := &Agents{store: oneAgent{}, caller: echoing{}, testing: make(chan struct{}, 1)}
	who := &omni.APIKey{TenantID: "default", Scopes: []string{omni.ScopeAdmin}}
	for range 2 { // its place is given back
		out, err := s.Test(t.Context(), who, uuid.New(), AgentTestRequest{Text: "hi"})
		require.NoError(t, err)
		require.Equal(t, "hi", out.Text)
	}
	s.testing <- struct{}{}
	_, err := s.Test(t.Context(), who, uuid.New(), AgentTestRequest{Text: "hi"})
	var refused *Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, KindLimited, refused.Kind)
	require.Positive(t, refused.RetryAfter)
}

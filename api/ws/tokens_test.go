package ws

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/api/auth"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// voice is where a test's frames come from.
type voice struct {
	mu    sync.Mutex
	fn    func([]byte)
	opens int
}

func (v *voice) listen(fn func([]byte)) (func(), error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fn = fn
	v.opens++
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.fn = nil
	}, nil
}

func (v *voice) say(t *testing.T, f omni.AgentStream) {
	t.Helper()
	b, err := f.CloudEvent()
	require.NoError(t, err)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fn(b)
}

func (v *voice) heard() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fn != nil
}

func newSpeakingHub(t *testing.T) (*Hub, *memLog, *voice) {
	t.Helper()
	log, v := &memLog{}, &voice{}
	h := NewHub(log, nil, v.listen, slog.New(slog.DiscardHandler))
	require.NoError(t, h.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		require.NoError(t, h.Stop(ctx))
	})
	return h, log, v
}

func frame(tenant string, instance uuid.UUID, seq int) omni.AgentStream {
	return omni.AgentStream{TenantID: tenant, TurnID: uuid.New(), CallID: uuid.New(), InstanceID: instance, ChatID: uuid.New(),
		MessageID: uuid.New(), Seq: seq, Text: "piece", State: omni.StreamStreaming}
}

func seqOf(t *testing.T, it item) int {
	t.Helper()
	var ce struct{ Data omni.AgentStream }
	require.NoError(t, json.Unmarshal(it.json, &ce))
	return ce.Data.Seq
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestTokensAreForWhoAsksForThem(t *testing.T) {
	t.Parallel()
	h, log, v := newSpeakingHub(t)
	plain, err := h.Open(admin(t.Context()), control.EventQuery{Types: []string{"agent.*,*"}})
	require.NoError(t, err)
	defer plain.Close()
	require.False(t, v.heard(), "nobody has asked")
	both, err := h.Open(admin(t.Context()), control.EventQuery{Types: []string{"message.sent,agent.stream"}})
	require.NoError(t, err)
	second, err := h.Open(admin(t.Context()), control.EventQuery{Types: []string{"agent.stream"}})
	require.NoError(t, err)
	require.Equal(t, 1, v.opens, "once for all")

	v.say(t, frame("a", uuid.New(), 1))
	got, err := both.next(soon(t))
	require.NoError(t, err)
	require.Equal(t, 1, seqOf(t, got[0]))
	require.NotContains(t, string(got[0].json), "position")
	log.add(1, "a")
	h.nudge()
	got, err = both.next(soon(t))
	require.NoError(t, err)
	require.Equal(t, omni.EventMessageSent, got[0].event.Type)
	got, err = second.next(soon(t))
	require.NoError(t, err)
	require.Equal(t, 1, seqOf(t, got[0]))
	got, err = plain.next(soon(t))
	require.NoError(t, err)
	require.Equal(t, omni.EventMessageSent, got[0].event.Type, "a pattern asks for no tokens")

	both.Close()
	require.True(t, v.heard())
	second.Close()
	require.False(t, v.heard(), "the last has left")
}

func TestTokensOfOthersAreNotShown(t *testing.T) {
	t.Parallel()
	h, _, v := newSpeakingHub(t)
	mine, other := uuid.New(), uuid.New()
	ctx := auth.WithCaller(t.Context(), &omni.APIKey{TenantID: "a", Scopes: []string{"events:read"}, InstanceIDs: []uuid.UUID{mine}})
	s, err := h.Open(ctx, control.EventQuery{Types: []string{"agent.stream"}})
	require.NoError(t, err)
	defer s.Close()
	of := frame("a", mine, 4)
	of.PersonID = uuid.NullUUID{UUID: uuid.New(), Valid: true}
	narrow, err := h.Open(ctx, control.EventQuery{Types: []string{"agent.stream"}, InstanceID: mine, ChatID: of.ChatID,
		PersonID: of.PersonID.UUID, CorrelationID: of.MessageID})
	require.NoError(t, err)
	defer narrow.Close()
	v.say(t, frame("b", mine, 1))  // another tenant's
	v.say(t, frame("a", other, 2)) // an instance that the key may not see
	v.say(t, frame("a", mine, 3))
	v.say(t, of)
	v.fn([]byte(`{"type":"agent.stream"}`)) // nonsense on the subject
	v.fn([]byte(`nonsense`))
	got, err := s.next(soon(t))
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, []int{3, 4}, []int{seqOf(t, got[0]), seqOf(t, got[1])})
	got, err = narrow.next(soon(t))
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, 4, seqOf(t, got[0]))
}

// Who does not read holds nobody up, and finds out what is missing.
func TestASlowReaderOfTokensMissesTheOldest(t *testing.T) {
	t.Parallel()
	h, _, v := newSpeakingHub(t)
	s, err := h.Open(admin(t.Context()), control.EventQuery{Types: []string{"agent.stream"}})
	require.NoError(t, err)
	defer s.Close()
	const n = maxTokenFrames + 500
	for i := range n {
		v.say(t, frame("a", uuid.New(), i+1))
	}
	got, err := s.next(soon(t))
	require.NoError(t, err)
	require.Len(t, got, maxTokenFrames)
	require.Equal(t, n-maxTokenFrames+1, seqOf(t, got[0]))

	big := frame("a", uuid.New(), 1)
	big.Text = strings.Repeat("x", maxTokenBytes/4)
	for range 20 {
		v.say(t, big)
	}
	got, err = s.next(soon(t))
	require.NoError(t, err)
	require.Less(t, len(got), 5)
}

func TestTokensHaveNoIDInServerSentEvents(t *testing.T) {
	t.Parallel()
	e := omni.Event{Type: omni.EventMessageSent, Position: omni.Position{Xid: 1, Seq: 2}}
	b := string(frames([]item{{event: omni.Event{Type: omni.EventAgentStream}, json: []byte(`{"t":1}`)}, {event: e, json: []byte(`{"e":1}`)}}))
	require.Equal(t, "data: {\"t\":1}\n\nid: "+e.Position.String()+"\ndata: {\"e\":1}\n\n", b)
}

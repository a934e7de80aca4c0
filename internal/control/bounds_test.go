package control

import (
	"context"
	"encoding/json"
	"slices"
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
	types[0] = "turn.*,chat.*"
	_, err = EventQuery{Types: types}.Filter(&omni.APIKey{})
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

type onePerson struct {
	PersonStore
	person omni.Person
}

func (s *onePerson) Person(context.Context, string, uuid.UUID) (*omni.Person, error) {
	p := s.person
	p.Identities = slices.Clone(p.Identities)
	return &p, nil
}

func (s *onePerson) UpdatePerson(_ context.Context, _ string, _ uuid.UUID, _ string, change func(*omni.Person) error) (*omni.Person, error) {
	p := s.person
	if err := change(&p); err != nil {
		return nil, err
	}
	s.person = p
	return &p, nil
}

// A key of some instances has no say in who may write on the others.
func TestARestrictedKeyDoesNotSayWhoSomebodyIsElsewhere(t *testing.T) {
	t.Parallel()
	seen, hidden := uuid.New(), uuid.New()
	who := &omni.APIKey{TenantID: "default", Scopes: []string{"persons:write"}, InstanceIDs: []uuid.UUID{seen}}
	store := &onePerson{person: omni.Person{ID: uuid.New(), TenantID: "default", Phone: "+5511987654321",
		Identities: []omni.Identity{{ID: uuid.New(), InstanceID: seen}, {ID: uuid.New(), InstanceID: hidden}}}}
	persons := &Persons{store: store}
	for field, patch := range map[string]string{"phone": `{"phone":"+5511912345678"}`, "email": `{"email":null,"notes":"x"}`} {
		_, err := persons.Update(t.Context(), who, store.person.ID, json.RawMessage(patch))
		var refused *Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, field, refused.Fields[0].Field)
	}
	require.Equal(t, "+5511987654321", store.person.Phone)
	require.Empty(t, store.person.Notes, "nothing is changed")
	p, err := persons.Update(t.Context(), who, store.person.ID, json.RawMessage(`{"notes":"seen"}`))
	require.NoError(t, err)
	require.Equal(t, "seen", p.Notes)

	store.person.Identities = store.person.Identities[:1]
	p, err = persons.Update(t.Context(), who, store.person.ID, json.RawMessage(`{"phone":"+55 11 91234-5678"}`))
	require.NoError(t, err)
	require.Equal(t, "+5511912345678", p.Phone)
	_, err = persons.Update(t.Context(), &omni.APIKey{TenantID: "default", Scopes: []string{"persons:write"}}, store.person.ID, json.RawMessage(`{"phone":null}`))
	require.NoError(t, err)
	require.Empty(t, store.person.Phone)
}

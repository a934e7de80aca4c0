package store_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/secret"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

func newAgent(t *testing.T, st *store.Store, tenant, name string) *omni.Agent {
	t.Helper()
	cfg := omni.DefaultAgent()
	cfg.Model = name
	a, err := st.CreateAgent(t.Context(), omni.Agent{ID: uuid.Must(uuid.NewV7()), TenantID: tenant, Name: name, Config: cfg, APIKey: "sk-" + name})
	require.NoError(t, err)
	return a
}

func TestAgentsAreStoredWithTheirKeySealed(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	st := sealedStore(t, url, secret.GenerateKey())
	a := newAgent(t, st, "default", "one")
	require.Equal(t, "sk-one", a.APIKey)
	require.Equal(t, int64(1), a.Version)
	var raw []byte
	require.NoError(t, st.Pool().QueryRow(t.Context(), `SELECT secrets || config::text::bytea FROM agents`).Scan(&raw))
	require.False(t, bytes.Contains(raw, []byte("sk-one")))

	changed, err := st.PatchAgent(t.Context(), "default", a.ID, func(a *omni.Agent) error { a.Name, a.APIKey = "two", ""; return nil })
	require.NoError(t, err)
	require.Equal(t, "two", changed.Name)
	require.Empty(t, changed.APIKey)
	require.Equal(t, int64(2), changed.Version)
	for name, err := range map[string]error{
		"patch":  func() error { _, err := st.PatchAgent(t.Context(), "other", a.ID, nil); return err }(),
		"delete": st.DeleteAgent(t.Context(), "other", a.ID),
	} {
		require.ErrorIs(t, err, omni.ErrNotFound, name)
	}
	newAgent(t, st, "other", "theirs")
	list, err := st.ListAgents(t.Context(), "default", omni.Page{Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NoError(t, st.DeleteAgent(t.Context(), "default", a.ID))
	_, err = st.Agent(t.Context(), a.ID)
	require.ErrorIs(t, err, omni.ErrNotFound)
}

func TestRoutesNeedTheirAgent(t *testing.T) {
	t.Parallel()
	st := sealedStore(t, testkit.Postgres(t), secret.GenerateKey())
	in, err := st.CreateInstance(t.Context(), omni.Instance{Name: "x", Channel: "custom", Settings: omni.DefaultSettings()})
	require.NoError(t, err)
	require.False(t, in.Settings.MayAnswer())
	mine, theirs := newAgent(t, st, "default", "mine"), newAgent(t, st, "other", "theirs")
	chat, person := uuid.New(), uuid.New()
	route := func(tenant string, agent uuid.UUID, r omni.AgentRoute) (*omni.AgentRoute, error) {
		r.ID, r.InstanceID, r.AgentID = uuid.Must(uuid.NewV7()), in.ID, agent
		return st.CreateRoute(t.Context(), tenant, r, 3)
	}
	_, err = route("default", theirs.ID, omni.AgentRoute{ChatID: &chat})
	require.ErrorIs(t, err, omni.ErrNotFound, "another tenant's agent")
	_, err = route("other", theirs.ID, omni.AgentRoute{ChatID: &chat})
	require.ErrorIs(t, err, omni.ErrNotFound, "another tenant's instance")
	groups, err := route("default", mine.ID, omni.AgentRoute{ChatType: message.ChatGroup})
	require.NoError(t, err)
	_, err = route("default", mine.ID, omni.AgentRoute{PersonID: &person})
	require.NoError(t, err)
	byChat, err := route("default", mine.ID, omni.AgentRoute{ChatID: &chat})
	require.NoError(t, err)
	_, err = route("default", mine.ID, omni.AgentRoute{ChatID: &chat})
	require.ErrorIs(t, err, omni.ErrTooManyRoutes)

	read, err := st.Instance(t.Context(), in.ID)
	require.NoError(t, err)
	require.True(t, read.Settings.MayAnswer())
	require.Len(t, read.Routes, 3)
	require.Equal(t, byChat.ID, read.Routes[0].ID)
	require.Equal(t, groups.ID, read.Routes[2].ID)

	var used *omni.AgentInUse
	require.ErrorAs(t, st.DeleteAgent(t.Context(), "default", mine.ID), &used)
	require.Equal(t, omni.AgentInUse{Routes: 3}, *used)
	n, err := st.DeleteRoutes(t.Context(), "default", in.ID, omni.RouteFilter{})
	require.NoError(t, err)
	require.Zero(t, n, "without a condition nothing is deleted")
	n, err = st.DeleteRoutes(t.Context(), "other", in.ID, omni.RouteFilter{ChatID: &chat})
	require.NoError(t, err)
	require.Zero(t, n)
	for _, f := range []omni.RouteFilter{{ChatID: &chat}, {PersonID: &person}, {ID: &groups.ID}} {
		n, err = st.DeleteRoutes(t.Context(), "default", in.ID, f)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	_, err = st.PatchInstance(t.Context(), "default", in.ID, func(in *omni.Instance) error { in.Settings.AgentID = &mine.ID; return nil })
	require.NoError(t, err)
	require.ErrorAs(t, st.DeleteAgent(t.Context(), "default", mine.ID), &used)
	require.Equal(t, omni.AgentInUse{Instances: 1}, *used)
}

// A chat whose route changes while a turn collects: what comes then begins a
// turn of its own, for the other agent.
func TestTurnsOfTwoAgentsDoNotMix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	agent := uuid.NewString()
	first := w.receive("c1", "ana", "m1", "one")
	v1 := w.join(first, time.Minute)
	require.Equal(t, omni.InstanceAgent, v1.Agent)
	second := w.receive("c1", "ana", "m2", "two")
	p := w.joinParams(second, 0)
	p.Agent = agent
	v2, err := w.JoinTurn(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, "closed", v2.State)
	require.Equal(t, agent, v2.Agent)
	require.Equal(t, []string{"two"}, w.texts(v2))
	require.Equal(t, agent, w.data(second, "agent.request")[0]["agentId"])
	// Run again, under whichever route is in force by then, it is the same turn.
	p.Agent = omni.InstanceAgent
	again, err := w.JoinTurn(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, v2.TurnID, again.TurnID)
	require.Equal(t, agent, again.Agent)
	row, err := w.TurnAgent(t.Context(), v2.TurnID.UUID)
	require.NoError(t, err)
	require.Equal(t, agent, row)
	_, err = w.TurnAgent(t.Context(), uuid.New())
	require.ErrorIs(t, err, omni.ErrNotFound)
}

// How quick an agent is, and how it does, is its own, wherever it answers; what
// an instance's own agent does says nothing of it.
func TestAgentsAreKnownByWhatTheyDid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := uuid.New()
	asked := func(n string, agent string) (omni.Envelope, omni.TurnView) {
		e := w.receive("c"+n, "ana", "m"+n, n)
		p := w.joinParams(e, 0)
		p.Agent = agent
		v, err := w.JoinTurn(t.Context(), p)
		require.NoError(t, err)
		return e, v
	}
	own, v := asked("1", omni.InstanceAgent)
	w.answer(own, v, "hi")
	good, v := asked("2", id.String())
	w.answer(good, v, "hi")
	health, err := w.AgentHealth(t.Context(), []uuid.UUID{id, uuid.New()})
	require.NoError(t, err)
	require.Len(t, health, 1)
	require.Equal(t, "ok", health[id].Status)
	require.Equal(t, int64(7), health[id].P50Ms)

	bad, v := asked("3", id.String())
	failure := &omni.AgentError{Kind: omni.AgentTransient, Reason: "away"}
	for range 2 {
		mine, err := w.AgentFailed(t.Context(), omni.AgentFailure{TurnID: v.TurnID.UUID, WorkflowID: workflowOf(bad), Epoch: v.Epoch,
			Error: failure, Within: time.Minute}, w.attempt())
		require.NoError(t, err)
		require.True(t, mine)
	}
	_, _, err = w.GiveUpTurn(t.Context(), omni.TurnFailure{ChatID: bad.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(bad),
		Epoch: v.Epoch, Error: failure.Error(), Kind: "agent_transient", Attempts: 2}, w.attempt())
	require.NoError(t, err)
	health, err = w.AgentHealth(t.Context(), []uuid.UUID{id})
	require.NoError(t, err)
	h := health[id]
	require.Equal(t, "failing", h.Status)
	require.Equal(t, "transient", h.LastOutcome)
	require.Equal(t, "transient: away", h.LastError)
	require.Equal(t, 2, h.ConsecutiveFailures, "that it was given up is no third call")
	require.Equal(t, 3, h.Calls)

	took, err := w.AgentLatencies(t.Context(), w.instance, id.String(), 20)
	require.NoError(t, err)
	require.Equal(t, []time.Duration{7 * time.Millisecond}, took)
	took, err = w.AgentLatencies(t.Context(), w.instance, "", 20)
	require.NoError(t, err)
	require.Len(t, took, 1)
}

package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// Whatever asks an agent that is no instance's own (a message, a retry, a
// follow-up), the log says which.
func TestEachRequestNamesItsAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(omni.FollowUp{AfterSeconds: 60, AgentPrompt: "ask whether that was all"})
	agent := uuid.NewString()
	e := w.receive("c1", "ana", "m1", "hello")
	p := w.joinParams(e, 0)
	p.Agent = agent
	v, err := w.JoinTurn(t.Context(), p)
	require.NoError(t, err)
	h := w.reopened(e, w.agentDies(e, v).ID)
	require.Equal(t, "closed", h.close().State)
	h.answer("hello yourself")
	h.deliver(1)
	w.due()
	require.Equal(t, "closed", w.claimFollowUp(e, v, 0).State)

	rows, err := w.Pool().Query(t.Context(), `SELECT data ->> 'agentId' FROM events WHERE type = 'agent.request' ORDER BY seq`)
	require.NoError(t, err)
	named, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	require.NoError(t, err)
	require.Equal(t, []*string{&agent, &agent, &agent}, named)
}

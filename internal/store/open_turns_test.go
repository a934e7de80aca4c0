package store_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

// Rows of others: what is open is a handful of each table, and comes and goes.
var crowds = map[string]string{
	"turns": `INSERT INTO turns (id, tenant_id, instance_id, channel, chat_id, session_key, leader, agent, due_at, workflow_id, first_at, last_seq,
			last_at, state, quiet_at, finished_at)
		SELECT id, 'default', id, 'custom', id, 'chat', id, 'instance', now() + interval '1 day', 'w', now(), 0,
			now(), CASE WHEN $1 THEN (ARRAY['collecting', 'answering', 'reopened'])[i % 3 + 1] ELSE 'answered' END,
			now(), CASE WHEN NOT $1 THEN now() END
		FROM generate_series(1, 6000) i, LATERAL (SELECT gen_random_uuid() AS id WHERE i > 0) x`,
	"follow_ups": `INSERT INTO follow_ups (turn_id, n, instance_id, channel, chat_id, tenant_id, leader, after_seconds, since, since_seq,
			due_at, check_at, state)
		SELECT id, 0, id, 'custom', id, 'default', id, 60, now(), 0,
			now() + interval '1 day', now() + interval '1 day', CASE WHEN $1 THEN 'scheduled' ELSE 'sent' END
		FROM generate_series(1, 2000) i, LATERAL (SELECT gen_random_uuid() AS id WHERE i > 0) x`,
	"dead_letters": `INSERT INTO dead_letters (id, tenant_id, instance_id, step, chat_id, error, turn_id, attempts, message_id, input, status)
		SELECT id, 'default', id, 'agent.Reply', id, '', id, 1, id, '{}', CASE WHEN $1 THEN 'open' ELSE 'resolved' END
		FROM generate_series(1, 2000) i, LATERAL (SELECT gen_random_uuid() AS id WHERE i > 0) x`,
}

// busyElsewhere is a world where others have thousands of turns open, which the
// planner does not know: it last counted when none was.
func busyElsewhere(t *testing.T) *world {
	t.Helper()
	url := testkit.Postgres(t)
	crowd, err := store.Open(t.Context(), url, 1)
	require.NoError(t, err)
	defer crowd.Close()
	for table, sql := range crowds {
		_, err := crowd.Pool().Exec(t.Context(), sql, false)
		require.NoError(t, err)
		_, err = crowd.Pool().Exec(t.Context(), "VACUUM ANALYZE "+table)
		require.NoError(t, err)
		_, err = crowd.Pool().Exec(t.Context(), sql, true)
		require.NoError(t, err)
	}
	// One connection, so that what it has read is known.
	st, err := store.Open(t.Context(), url, 1)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	return &world{Store: st, t: t, instance: uuid.New()}
}

// read is how many rows of the crowd's tables have been looked at so far, in
// the tables or in their indexes.
func (w *world) read() (n int) {
	w.t.Helper()
	_, err := w.Pool().Exec(w.t.Context(), `SELECT pg_stat_force_next_flush()`)
	require.NoError(w.t, err)
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `
		SELECT sum(pg_stat_get_tuples_returned(c.oid) + (SELECT sum(pg_stat_get_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = c.oid))
		FROM pg_class c WHERE c.relname = ANY ($1)`, slices.Collect(maps.Keys(crowds))).Scan(&n))
	return n
}

func TestWhatIsOpenElsewhereIsNotRead(t *testing.T) {
	t.Parallel()
	w := busyElsewhere(t)
	var e omni.Envelope
	var v omni.TurnView
	var c omni.PartClaim
	for _, step := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"join", func(context.Context) error {
			e = w.receive("c", "u", "1", "hello")
			v = w.join(e, time.Minute)
			require.Equal(t, "leader", v.State)
			return nil
		}},
		{"close", func(ctx context.Context) error {
			_, err := w.Pool().Exec(ctx, `UPDATE turns SET quiet_at = now() WHERE id = $1`, v.TurnID.UUID)
			require.NoError(t, err)
			v = w.closeTurn(e, v)
			require.Equal(t, "closed", v.State)
			return nil
		}},
		{"ask", func(ctx context.Context) error {
			_, err := w.AgentTurn(ctx, v.TurnID.UUID, workflowOf(e), v.Epoch, omni.Memory{Messages: 20})
			return err
		}},
		{"touch", func(ctx context.Context) error {
			mine, err := w.TouchTurn(ctx, v.TurnID.UUID, workflowOf(e), v.Epoch, time.Minute)
			require.True(t, mine)
			return err
		}},
		{"fail", func(ctx context.Context) error {
			mine, err := w.AgentFailed(ctx, omni.AgentFailure{TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e), Epoch: v.Epoch, Error: &omni.AgentError{}}, w.attempt())
			require.True(t, mine)
			return err
		}},
		{"answer", func(context.Context) error {
			state, _ := w.answer(e, v, "hi")
			require.Equal(t, "closed", state)
			return nil
		}},
		{"claim", func(context.Context) error {
			c = w.claim(e, v, "a/1/1")
			require.Equal(t, "claimed", c.State)
			return nil
		}},
		{"renew", func(ctx context.Context) error { return w.RenewSender(ctx, e.ChatID(), v.TurnID.UUID, "a/1/1") }},
		{"receipt", func(ctx context.Context) error {
			finished, _, err := w.ReceiptPart(ctx, omni.ReceiptParams{ChatID: e.ChatID(), MessageID: c.MessageID, Status: "sent", ExternalID: "x",
				TurnID: v.TurnID, WorkflowID: workflowOf(e), Epoch: v.Epoch, FinishAs: "answered", Attempt: w.attempt()})
			require.True(t, finished)
			return err
		}},
		{"join and close at once", func(context.Context) error {
			e = w.receive("c", "u", "2", "again")
			v = w.join(e, 0)
			require.Equal(t, "closed", v.State)
			return nil
		}},
		{"interrupt", func(ctx context.Context) error {
			e2 := w.receive("c", "u", "3", "wait")
			p := w.joinParams(e2, 0)
			w.join(e2, 0)
			_, err := w.YieldTurn(ctx, omni.YieldParams{ChatID: e2.ChatID(), TurnID: p.TurnID, WorkflowID: workflowOf(e2), Epoch: 1, From: v.TurnID.UUID})
			return err
		}},
		{"give up", func(ctx context.Context) error {
			e := w.receive("other", "u", "4", "anybody?")
			v := w.join(e, 0)
			state, _, err := w.GiveUpTurn(ctx, omni.TurnFailure{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
				Epoch: v.Epoch, Error: "down", Kind: "unreachable", Attempts: 3}, w.attempt())
			require.Equal(t, "closed", state)
			return err
		}},
		{"take over", func(ctx context.Context) error {
			_, err := w.TakeoverChat(ctx, e.ChatID(), omni.Takeover{Reason: "by hand"})
			return err
		}},
		{"sweep", func(ctx context.Context) error {
			_, err := w.OverdueTurns(ctx, uuid.NullUUID{}, 10)
			return err
		}},
		{"look for one", func(ctx context.Context) error {
			_, err := w.OverdueTurns(ctx, v.TurnID, 10)
			return err
		}},
		{"put off", func(ctx context.Context) error { return w.PostponeTurn(ctx, v.TurnID.UUID, time.Minute) }},
	} {
		before := w.read()
		require.NoError(t, step.do(t.Context()), step.name)
		require.Less(t, w.read()-before, 100, step.name)
	}
}

package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// talkative gives an account n messages more, and their answers, a second apart.
func (w *world) talkative(instance uuid.UUID, sender string, n int) {
	w.t.Helper()
	account := omni.IdentityID(instance, sender)
	w.exec(`INSERT INTO messages (id, tenant_id, instance_id, channel, chat_id, person_id, identity_id, direction, content, text, status, created_at)
		SELECT gen_random_uuid(), 'default', $1, 'custom', c.id, i.person_id, CASE WHEN n % 3 < 2 THEN i.id END, CASE WHEN n % 2 = 0 THEN 'inbound' ELSE 'outbound' END,
			'{"type":"text","text":"again"}', 'again', 'ignored', now() - n * interval '1 s'
		FROM generate_series(1, $3::int) n, identities i, chats c WHERE i.id = $2 AND c.identity_id = i.id`, instance, account, n)
}

func (w *world) messagesOf(person uuid.UUID) int {
	w.t.Helper()
	return w.tally(`SELECT count(*) FROM messages WHERE person_id = $1`, person)
}

// More messages than one transaction should move follow in steps, and come back
// as exactly.
func TestVeryManyMessagesFollowInSteps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := uuid.New()
	ana, eve := w.show(in, "ana", "", ""), w.show(in, "eve", "", "")
	w.talkative(in, "ana", 4500)
	before := w.snapshot()
	id := w.merge(ana, eve)
	require.Equal(t, 4502, w.messagesOf(eve))
	require.Zero(t, w.messagesOf(ana))
	require.Zero(t, w.tally(`SELECT count(*) FROM message_moves`))
	w.undo(id, omni.GraphDone)
	require.Equal(t, before, w.snapshot())

	// One account of several: those of the others stay.
	id = w.merge(eve, ana)
	id2 := w.unlink(omni.IdentityID(in, "ana"))
	apart := w.personOf(omni.IdentityID(in, "ana"))
	require.Equal(t, 4501, w.messagesOf(apart))
	require.Equal(t, 1, w.messagesOf(ana))
	w.undo(id2, omni.GraphDone)
	w.undo(id, omni.GraphDone)
	require.Equal(t, before, w.snapshot())
}

// A process that dies once the change is made leaves messages behind: readers
// find them, what comes in meanwhile is right, and whoever changes the graph
// next, or the janitor, ends it.
func TestAMergeWhoseProcessDied(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]func(w *world, ana, eve uuid.UUID){
		"the janitor": func(w *world, _, _ uuid.UUID) {
			require.NoError(w.t, w.MoveMessages(w.t.Context(), 2000))
			require.Equal(w.t, 1, w.tally(`SELECT count(*) FROM message_moves`), "no more than it was told")
			require.NoError(w.t, w.MoveMessages(w.t.Context(), 100_000))
		},
		"the next change": func(w *world, _, eve uuid.UUID) {
			w.undo(w.merge(eve, w.show(uuid.New(), "bob", "", "")), omni.GraphDone)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			in := uuid.New()
			ana, eve := w.show(in, "ana", "", ""), w.show(in, "eve", "", "")
			w.talkative(in, "ana", 4500)
			before := w.snapshot()
			var id uuid.UUID
			merge := `SELECT (persons_merge('default', NULL, $1, $2, 'desk', '', '[]', 1, NULL)).id`
			require.NoError(t, w.Pool().QueryRow(t.Context(), merge, ana, eve).Scan(&id))
			require.Equal(t, 4501, w.messagesOf(ana), "nothing has followed yet")
			_, err := w.Pool().Exec(t.Context(), `SELECT identity_unlink('default', NULL, $1, 'desk', '')`, omni.IdentityID(in, "ana"))
			require.ErrorContains(t, err, "still being moved", "no other change meanwhile")

			seen := map[uuid.UUID]bool{}
			var after *omni.Key
			for {
				page, err := w.Timeline(t.Context(), omni.DefaultTenant, eve, omni.TimelineFilter{}, omni.Page{Limit: 1000, After: after})
				require.NoError(t, err)
				for i, m := range page {
					require.False(t, seen[m.ID])
					require.False(t, i > 0 && m.CreatedAt.After(page[i-1].CreatedAt), "in order")
					seen[m.ID] = true
				}
				if len(page) < 1000 {
					break
				}
				after = &omni.Key{At: page[999].CreatedAt, ID: page[999].ID}
			}
			require.Len(t, seen, 4502, "all of them are hers at once")
			listed, err := w.ListMessages(t.Context(), omni.DefaultTenant, omni.MessageFilter{PersonID: eve}, omni.Page{Limit: 5000})
			require.NoError(t, err)
			require.Len(t, listed, 4502)
			require.Equal(t, eve, w.show(in, "ana", "", ""), "what comes in now")

			finish(w, ana, eve)
			require.Zero(t, w.tally(`SELECT count(*) FROM message_moves`))
			require.Zero(t, w.messagesOf(ana))
			require.Equal(t, 4503, w.messagesOf(eve))
			w.undo(id, omni.GraphDone)
			w.exec(`DELETE FROM messages WHERE id <> ALL (SELECT (x::jsonb ->> 0)::uuid FROM unnest($1::text[]) x WHERE x LIKE '[%')`, before)
			w.exec(`DELETE FROM persons WHERE display_name = 'bob'`)
			w.exec(`DELETE FROM identities WHERE name = 'bob'`)
			w.exec(`DELETE FROM chats WHERE external_id = 'dm-bob'`)
			require.Equal(t, before, w.snapshot())
		})
	}
}

// BenchmarkMergeOfMany merges somebody with 200,000 messages while they go on
// writing, and says how long the merge takes and how long one message waits for
// it; in one transaction, and in steps:
//
//	go test ./internal/store -run '^$' -bench MergeOfMany -benchtime 1x
func BenchmarkMergeOfMany(b *testing.B) {
	for name, parameter := range map[string]string{"one transaction": "omni.move_at_once=1000000", "steps": "omni.move_at_once=2000"} {
		b.Run(name, func(b *testing.B) {
			st, _ := benchStore(b, "nothing", parameter)
			for b.Loop() {
				b.Log(mergeOfMany(b, st))
			}
		})
	}
}

func mergeOfMany(b *testing.B, st *store.Store) string {
	b.Helper()
	w := &world{Store: st, instance: uuid.New()}
	record := func(sender string) {
		require.NoError(b, st.Record(b.Context(), []omni.Envelope{w.shown(w.instance, sender, uuid.NewString(), "", "")}, 0))
	}
	record("ana")
	record("eve")
	account := omni.IdentityID(w.instance, "ana")
	_, err := st.Pool().Exec(b.Context(), `INSERT INTO messages (id, tenant_id, instance_id, channel, chat_id, person_id, identity_id, direction, content, text, status, created_at)
		SELECT gen_random_uuid(), 'default', $1, 'custom', c.id, i.person_id, i.id, 'inbound', '{"type":"text","text":"again"}', 'again', 'ignored', now() - n * interval '1 s'
		FROM generate_series(1, 200000) n, identities i, chats c WHERE i.id = $2 AND c.identity_id = i.id`, w.instance, account)
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	var longest time.Duration
	var wrote int
	var writing sync.WaitGroup
	writing.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			record("ana")
			longest, wrote = max(longest, time.Since(began)), wrote+1
			time.Sleep(5 * time.Millisecond) // she is no machine
		}
	})
	began := time.Now()
	a, err := st.MergePersons(b.Context(), call, omni.FirstPersonID(account), omni.FirstPersonID(omni.IdentityID(w.instance, "eve")))
	took := time.Since(began)
	stop()
	writing.Wait()
	require.NoError(b, err)
	require.Equal(b, omni.GraphDone, a.State)
	return fmt.Sprintf("the merge took %v; of %d messages written meanwhile the slowest took %v", took, wrote, longest)
}

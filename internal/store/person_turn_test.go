package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// joinAs joins under an agent session, as turn.Join does.
func (w *world) joinAs(e omni.Envelope, session string, quiet time.Duration) omni.TurnView {
	w.t.Helper()
	p := w.joinParams(e, quiet)
	p.SessionKey = omni.SessionKey(session, e.ChatID(), w.personOf(omni.IdentityID(e.InstanceID, e.Event.Sender.ID)))
	v, err := w.JoinTurn(w.t.Context(), p)
	require.NoError(w.t, err)
	return v
}

func (w *world) sessionOf(turn uuid.UUID) (key string) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT session_key FROM turns WHERE id = $1`, turn).Scan(&key))
	return key
}

// While the agent answers, whoever is answered becomes another person: the
// reply goes out, once, and is that person's.
func TestMergeWhileATurnIsAnswered(t *testing.T) {
	t.Parallel()
	for _, session := range []string{"chat", "user", "user-in-chat"} {
		t.Run(session, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.receive("c2", "eve", "m0", "hi")
			e := w.receive("c1", "ana", "m1", "hello")
			v := w.joinAs(e, session, 0)
			require.Equal(t, "closed", v.State)
			ana, eve := w.personOf(omni.IdentityID(w.instance, "ana")), w.personOf(omni.IdentityID(w.instance, "eve"))
			id := w.merge(ana, eve)
			_, n := w.answer(e, v, "one", "two")
			require.Equal(t, 2, n)
			c := w.claim(e, v, "me/1/1")
			require.Equal(t, "claimed", c.State)
			w.receipt(e, v, c, "sent")
			w.undo(id, omni.GraphDone)
			c = w.claim(e, v, "me/1/1")
			finished, _ := w.receipt(e, v, c, "sent")
			require.True(t, finished)
			require.Equal(t, "answered", w.status(e.MessageID))
			require.Equal(t, 2, w.tally(`SELECT count(*) FROM messages WHERE turn_id = $1 AND direction = 'outbound' AND status = 'sent'
				AND person_id = $2`, v.TurnID.UUID, ana), "what was answered meanwhile goes with the account, too")
			require.Equal(t, 1, count(w.story(e.MessageID), "turn.completed"))
		})
	}
}

// A burst goes on being one turn, whoever wrote it turns out to be.
func TestMergeDuringTheDebounce(t *testing.T) {
	t.Parallel()
	for _, session := range []string{"user", "user-in-chat"} {
		t.Run(session, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.receive("c2", "eve", "m0", "hi")
			first := w.receive("c1", "ana", "m1", "one")
			v := w.joinAs(first, session, time.Hour)
			require.Equal(t, "leader", v.State)
			ana, eve := w.personOf(omni.IdentityID(w.instance, "ana")), w.personOf(omni.IdentityID(w.instance, "eve"))
			late := w.receive("c1", "ana", "m2", "two")
			stale := w.joinParams(late, time.Hour)
			stale.SessionKey = omni.SessionKey(session, late.ChatID(), ana) // as the workflow knew her

			id := w.merge(ana, eve)
			require.Contains(t, w.sessionOf(v.TurnID.UUID), "person:"+eve.String())
			joined, err := w.JoinTurn(t.Context(), stale)
			require.NoError(t, err)
			require.Equal(t, "follower", joined.State)
			require.Equal(t, v.TurnID, joined.TurnID)
			w.undo(id, omni.GraphDone)
			require.Contains(t, w.sessionOf(v.TurnID.UUID), "person:"+ana.String())
			third := w.receive("c1", "ana", "m3", "three")
			require.Equal(t, v.TurnID, w.joinAs(third, session, time.Hour).TurnID)

			w.age(v.TurnID.UUID, 2*time.Hour)
			closed := w.closeTurn(first, v)
			require.Equal(t, "closed", closed.State)
			require.Equal(t, 3, closed.Messages)
		})
	}
}

// Both write in one group, each to a session of their own, and turn out to be
// one: each turn answers what it has, and what comes then is of one session.
func TestMergeOfTwoThatCollectInOneChat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.receive("g", "ana", "m1", "one")
	two := w.receive("g", "eve", "m2", "two")
	v1, v2 := w.joinAs(one, "user-in-chat", time.Hour), w.joinAs(two, "user-in-chat", time.Hour)
	require.NotEqual(t, v1.TurnID, v2.TurnID)
	ana, eve := w.personOf(omni.IdentityID(w.instance, "ana")), w.personOf(omni.IdentityID(w.instance, "eve"))
	id := w.merge(ana, eve)
	require.Equal(t, v2.TurnID, w.joinAs(w.receive("g", "ana", "m3", "three"), "user-in-chat", time.Hour).TurnID)
	w.undo(id, omni.GraphDone)
	require.Equal(t, v1.TurnID, w.joinAs(w.receive("g", "ana", "m4", "four"), "user-in-chat", time.Hour).TurnID)
	require.Equal(t, v2.TurnID, w.joinAs(w.receive("g", "eve", "m5", "five"), "user-in-chat", time.Hour).TurnID)
}

// What the agent remembers of somebody goes with the accounts: into the
// person's session, and back; what was reset stays forgotten.
func TestPersonSessionFollowsItsAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	talk := func(chat, who, id, text string) omni.TurnView {
		e := w.receive(chat, who, id, text)
		v := w.joinAs(e, "user", 0)
		w.answer(e, v, "to "+text)
		w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
		return v
	}
	remembers := func(chat, who, id string) (texts []string) {
		e := w.receive(chat, who, id, "?")
		v := w.joinAs(e, "user", 0)
		past, err := w.SessionHistory(t.Context(), w.sessionOf(v.TurnID.UUID), v.TurnID.UUID, omni.Memory{Messages: 50})
		require.NoError(t, err)
		for _, m := range past {
			if !m.FromAgent && m.Text != "?" {
				texts = append(texts, m.Text)
			}
		}
		w.answer(e, v, "!")
		w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
		return texts
	}
	talk("c1", "ana", "m1", "forgotten")
	require.NoError(t, w.ResetChat(t.Context(), omni.ChatID(w.instance, "c1"), "test"))
	talk("c1", "ana", "m2", "of ana")
	talk("c2", "eve", "m3", "of eve")
	ana, eve := w.personOf(omni.IdentityID(w.instance, "ana")), w.personOf(omni.IdentityID(w.instance, "eve"))
	id := w.merge(ana, eve)
	require.Equal(t, []string{"of ana", "of eve"}, remembers("c2", "eve", "m4"))
	talk("c1", "ana", "m5", "of both")
	require.Equal(t, []string{"of ana", "of eve", "of both"}, remembers("c2", "eve", "m6"))
	w.undo(id, omni.GraphDone)
	require.Equal(t, []string{"of ana", "of both"}, remembers("c1", "ana", "m7"))
	require.Equal(t, []string{"of eve"}, remembers("c2", "eve", "m8"))
}

// Recording, answering and changing the graph at once: nobody fails, nothing is
// left behind under a person that is gone.
func TestMergesAmidTraffic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const messages = 40
	people := []string{"a", "b", "c"}
	envelopes := map[string][]omni.Envelope{}
	for _, p := range people {
		w.receive("dm-"+p, p, p+"-first", "hi")
		for range messages {
			envelopes[p] = append(envelopes[p], w.inbound("dm-"+p, p, uuid.NewString(), "hello"))
		}
	}
	var wg sync.WaitGroup
	for _, p := range people {
		wg.Go(func() {
			for _, e := range envelopes[p] {
				if err := w.Record(t.Context(), []omni.Envelope{e}, 0); err != nil {
					t.Errorf("recording: %v", err)
					return
				}
				v, err := w.JoinTurn(t.Context(), w.joinParams(e, time.Hour))
				if err == nil && v.State == "leader" {
					_, _, err = w.FinishTurn(t.Context(), omni.FinishParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e),
						Epoch: v.Epoch, Outcome: "nothing", Attempt: w.attempt()})
				}
				if err != nil {
					t.Errorf("answering: %v", err)
					return
				}
			}
		})
	}
	for _, p := range people[:2] {
		wg.Go(func() {
			c := omni.FirstPersonID(omni.IdentityID(w.instance, "c"))
			for range 8 {
				a, err := w.MergePersons(t.Context(), call, omni.FirstPersonID(omni.IdentityID(w.instance, p)), c)
				if err == nil && a.State == omni.GraphDone {
					a, err = w.UndoMerge(t.Context(), call, a.ID)
				}
				if err != nil || a.State != omni.GraphDone {
					t.Errorf("merging %s: %v %v", p, a, err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, len(people), w.tally(`SELECT count(*) FROM persons`))
	require.Zero(t, w.tally(`SELECT count(*) FROM messages m JOIN identities i ON i.id = m.identity_id WHERE m.person_id <> i.person_id`))
	require.Zero(t, w.tally(`SELECT count(*) FROM chats c JOIN identities i ON i.id = c.identity_id WHERE c.person_id <> i.person_id`))
	require.Equal(t, len(people)*(messages+1), w.tally(`SELECT count(*) FROM messages`))
}

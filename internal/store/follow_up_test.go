package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// configure gives the world's instance its settings.
func (w *world) configure(followUps ...omni.FollowUp) {
	w.t.Helper()
	s := omni.DefaultSettings()
	agent := omni.DefaultAgent()
	s.Agent, s.Messaging.FollowUps = &agent, followUps
	b, err := json.Marshal(s)
	require.NoError(w.t, err)
	_, err = w.Pool().Exec(w.t.Context(), `INSERT INTO instances (id, tenant_id, name, channel, settings) VALUES ($1, 'default', 'x', 'custom', $2)
		ON CONFLICT (id) DO UPDATE SET settings = excluded.settings`, w.instance, b)
	require.NoError(w.t, err)
}

// exchange is a message that was answered.
func (w *world) exchange(chat, id string) (omni.Envelope, omni.TurnView) {
	w.t.Helper()
	e := w.receive(chat, "ana", id, "hello")
	v := w.join(e, 0)
	w.answer(e, v, "hello yourself")
	finished, _ := w.receipt(e, v, w.claim(e, v, "me/1/1"), "sent")
	require.True(w.t, finished)
	return e, v
}

// due lets the time of every follow-up come.
func (w *world) due() {
	w.t.Helper()
	_, err := w.Pool().Exec(w.t.Context(), `UPDATE follow_ups SET due_at = now() - interval '1 second'`)
	require.NoError(w.t, err)
}

func (w *world) claimFollowUp(e omni.Envelope, v omni.TurnView, n int) omni.TurnView {
	w.t.Helper()
	out, err := w.ClaimFollowUp(w.t.Context(), w.followUpClaim(e, v, n))
	require.NoError(w.t, err)
	return out
}

func (w *world) followUpClaim(e omni.Envelope, v omni.TurnView, n int) omni.FollowUpClaim {
	return omni.FollowUpClaim{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, N: n, WorkflowID: followUpWorkflow(v, n),
		Closing: omni.ClosingParams{Provider: "echo", AnswerWithin: time.Minute}, Attempt: w.attempt()}
}

func followUpWorkflow(v omni.TurnView, n int) string {
	return fmt.Sprintf("followup/%s/%d", v.TurnID.UUID, n)
}

// say stores the text of a claimed follow-up as its one part.
func (w *world) say(e omni.Envelope, f omni.TurnView, workflow, text string) {
	w.t.Helper()
	_, n, err := w.AnswerTurn(w.t.Context(), e.ChatID(), f.TurnID.UUID, workflow, f.Epoch,
		omni.Answer{Text: text, Parts: []message.Content{{Type: message.TypeText, Text: text}}}, time.Minute, w.attempt())
	require.NoError(w.t, err)
	require.Equal(w.t, 1, n)
}

func (w *world) part(e omni.Envelope, f omni.TurnView, workflow string) (c omni.PartClaim) {
	w.t.Helper()
	require.NoError(w.t, w.claims(e, f, workflow, "me/1/1", &c)(w.t.Context()))
	return c
}

// fate is where a follow-up stands, and why it was cancelled.
func (w *world) fate(v omni.TurnView, n int) (state, reason string) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT state, reason FROM follow_ups WHERE turn_id = $1 AND n = $2`,
		v.TurnID.UUID, n).Scan(&state, &reason))
	return state, reason
}

func TestFollowUpGoesOutOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(omni.FollowUp{AfterSeconds: 60, Text: "still there?"})
	e, v := w.exchange("c1", "m1")
	pending, err := w.UnarmedFollowUps(t.Context(), v.TurnID.UUID)
	require.NoError(t, err)
	require.Len(t, pending, 1)
	require.InDelta(t, 60, time.Until(pending[0].DueAt).Seconds(), 5)
	require.NoError(t, w.ArmFollowUp(t.Context(), v.TurnID.UUID, 0))
	pending, err = w.UnarmedFollowUps(t.Context(), v.TurnID.UUID)
	require.NoError(t, err)
	require.Empty(t, pending)

	early := w.claimFollowUp(e, v, 0)
	require.Equal(t, "wait", early.State, "woken before its time")
	require.Greater(t, early.Wait, 50*time.Second)
	w.due()
	f := w.claimFollowUp(e, v, 0)
	require.Equal(t, "closed", f.State)
	require.Equal(t, omni.FollowUpTurnID(v.TurnID.UUID, 0), f.TurnID.UUID)
	require.Equal(t, f, w.claimFollowUp(e, v, 0), "the step may run again")
	other := w.followUpClaim(e, v, 0)
	other.WorkflowID = "another"
	seen, err := w.ClaimFollowUp(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, "adopted", seen.State)

	workflow := followUpWorkflow(v, 0)
	turn, err := w.AgentTurn(t.Context(), f.TurnID.UUID, workflow, f.Epoch, omni.Memory{Messages: 10})
	require.NoError(t, err)
	require.Equal(t, "still there?", *turn.Text, "nobody is asked")
	w.say(e, f, workflow, "still there?")
	c := w.part(e, f, workflow)
	require.Equal(t, "claimed", c.State)
	require.Empty(t, c.ReplyTo, "it answers no message")
	finished, _, err := w.ReceiptPart(t.Context(), omni.ReceiptParams{ChatID: e.ChatID(), MessageID: c.MessageID, Status: "sent",
		ExternalID: "x-2", TurnID: f.TurnID, WorkflowID: workflow, Epoch: f.Epoch, FinishAs: "answered", Attempt: w.attempt()})
	require.NoError(t, err)
	require.True(t, finished)
	state, _ := w.fate(v, 0)
	require.Equal(t, "sent", state)
	require.Equal(t, "finished", w.claimFollowUp(e, v, 0).State)
	require.Equal(t, "answered", w.status(e.MessageID))
	story := w.story(e.MessageID)
	require.Equal(t, []string{"followup.scheduled", "turn.started", "message.sending", "message.sent", "turn.completed", "followup.sent"},
		story[len(story)-6:])
	require.Equal(t, 1, count(story, "followup.scheduled"), "a follow-up is followed by nothing")
	led, _, err := w.LedTurn(t.Context(), e.ChatID(), e.MessageID)
	require.NoError(t, err)
	require.Equal(t, v.TurnID, led, "the message led its own turn, not what followed")
}

// Whatever breaks the silence before the moment of the claim cancels it, and
// the log says why.
func TestFollowUpIsCancelled(t *testing.T) {
	t.Parallel()
	setting := omni.FollowUp{AfterSeconds: 60, Text: "still there?"}
	for reason, happens := range map[string]func(w *world, e omni.Envelope){
		"message": func(w *world, _ omni.Envelope) { w.record(w.inbound("c1", "ana", "m2", "yes")) },
		"takeover": func(w *world, e omni.Envelope) {
			_, err := w.TakeoverChat(w.t.Context(), e.ChatID(), omni.Takeover{Reason: "by call"})
			require.NoError(w.t, err)
			require.NoError(w.t, w.ResumeChat(w.t.Context(), e.ChatID(), ""))
		},
		"own_message": func(w *world, _ omni.Envelope) {
			own := w.inbound("c1", "me", "m2", "from my phone")
			own.Event.IsFromMe = true
			w.record(own)
		},
		"api_message": func(w *world, e omni.Envelope) { w.sendByAPI(e.Event.Chat.ID, nil) },
		"settings":    func(w *world, _ omni.Envelope) { w.configure(omni.FollowUp{AfterSeconds: 61, Text: "still there?"}) },
		"instance": func(w *world, _ omni.Envelope) {
			_, err := w.Pool().Exec(w.t.Context(), `UPDATE instances SET disabled = true`)
			require.NoError(w.t, err)
		},
		"reset": func(w *world, e omni.Envelope) { require.NoError(w.t, w.ResetChat(w.t.Context(), e.ChatID(), "api")) },
		"expired": func(w *world, _ omni.Envelope) {
			_, err := w.Pool().Exec(w.t.Context(), `UPDATE follow_ups SET due_at = now() - interval '2 days'`)
			require.NoError(w.t, err)
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configure(setting)
			e, v := w.exchange("c1", "m1")
			if reason != "expired" {
				w.due()
			}
			happens(w, e)
			require.Equal(t, "cancelled", w.claimFollowUp(e, v, 0).State)
			require.Equal(t, "cancelled", w.claimFollowUp(e, v, 0).State, "for good")
			state, why := w.fate(v, 0)
			require.Equal(t, "cancelled", state)
			require.Equal(t, reason, why)
			require.Equal(t, 1, count(w.story(e.MessageID), "followup.cancelled"))
			require.Zero(t, count(w.story(e.MessageID), "followup.sent"))
		})
	}
}

// The same things do not, where they are no sign of life: they were there
// before the answer, are told of the past, or are our own.
func TestFollowUpIsNotCancelled(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(w *world, e omni.Envelope, v omni.TurnView){
		"another chat": func(w *world, _ omni.Envelope, _ omni.TurnView) { w.record(w.inbound("c2", "ana", "m2", "yes")) },
		"history": func(w *world, _ omni.Envelope, _ omni.TurnView) {
			old := w.inbound("c1", "ana", "m0", "long ago")
			old.Event.Backfill, old.Event.Timestamp = true, time.Now().Add(-time.Hour)
			w.record(old)
		},
		"our own echo": func(w *world, _ omni.Envelope, v omni.TurnView) {
			// It was quicker than the receipt that names it.
			id := "x-" + omni.PartID(v.TurnID.UUID, 0).String()
			_, err := w.Pool().Exec(w.t.Context(), `UPDATE messages SET external_id = '' WHERE turn_id = $1 AND direction = 'outbound'`, v.TurnID.UUID)
			require.NoError(w.t, err)
			echo := w.inbound("c1", "me", id, "hello yourself")
			echo.Event.IsFromMe = true
			w.record(echo)
			_, err = w.Pool().Exec(w.t.Context(), `UPDATE messages SET external_id = $2 WHERE turn_id = $1 AND direction = 'outbound'`, v.TurnID.UUID, id)
			require.NoError(w.t, err)
		},
		"a scheduled message whose time has not come": func(w *world, e omni.Envelope, _ omni.TurnView) {
			at := time.Now().Add(time.Hour)
			w.sendByAPI(e.Event.Chat.ID, &at)
		},
		"another text": func(w *world, _ omni.Envelope, _ omni.TurnView) {
			w.configure(omni.FollowUp{AfterSeconds: 60, Text: "still there?!"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configure(omni.FollowUp{AfterSeconds: 60, Text: "still there?"})
			e, v := w.exchange("c1", "m1")
			w.due()
			happens(w, e, v)
			f := w.claimFollowUp(e, v, 0)
			require.Equal(t, "closed", f.State)
			w.say(e, f, followUpWorkflow(v, 0), "x")
			require.Equal(t, "claimed", w.part(e, f, followUpWorkflow(v, 0)).State)
		})
	}
}

// While the agent is asked for a follow-up the person writes: what it says must
// not go out any more, and the new turn does not wait for it.
func TestFollowUpIsWithdrawnWhileTheAgentThinks(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*world, omni.Envelope, omni.TurnView, omni.TurnView) {
		t.Helper()
		w := newWorld(t)
		w.configure(omni.FollowUp{AfterSeconds: 60, AgentPrompt: "Ask whether they need more help."})
		e, v := w.exchange("c1", "m1")
		w.due()
		f := w.claimFollowUp(e, v, 0)
		require.Equal(t, "closed", f.State)
		batch, err := w.TurnBatch(t.Context(), f.TurnID.UUID, f.Epoch)
		require.NoError(t, err)
		require.Len(t, batch, 1)
		require.Equal(t, "Ask whether they need more help.", batch[0].Text)
		return w, e, v, f
	}
	t.Run("recorded, not joined yet", func(t *testing.T) {
		t.Parallel()
		w, e, v, f := begin(t)
		w.say(e, f, followUpWorkflow(v, 0), "do you need more help?")
		w.record(w.inbound("c1", "ana", "m2", "yes"))
		require.Equal(t, "cancelled", w.part(e, f, followUpWorkflow(v, 0)).State)
		state, why := w.fate(v, 0)
		require.Equal(t, "cancelled message", state+" "+why)
		require.Equal(t, "cancelled", w.status(omni.PartID(f.TurnID.UUID, 0)))
	})
	t.Run("joined", func(t *testing.T) {
		t.Parallel()
		w, e, v, f := begin(t)
		next := w.receive("c1", "ana", "m2", "yes")
		require.Equal(t, "closed", w.join(next, 0).State, "it does not wait behind")
		state, _, err := w.AnswerTurn(t.Context(), e.ChatID(), f.TurnID.UUID, followUpWorkflow(v, 0), f.Epoch, omni.Answer{Text: "late"},
			time.Minute, w.attempt())
		require.NoError(t, err)
		require.Equal(t, "cancelled", state)
		_, why := w.fate(v, 0)
		require.Equal(t, "message", why)
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		w, e, v, f := begin(t)
		next := w.receive("c1", "ana", "m2", "yes")
		leads := w.joinBusy(next, time.Minute)
		if leads.Interrupt.Valid {
			leads = w.yield(next, leads, leads.Interrupt)
		}
		require.Equal(t, []string{"yes"}, w.texts(leads), "the prompt is nobody's message")
		state, _, err := w.AnswerTurn(t.Context(), e.ChatID(), f.TurnID.UUID, followUpWorkflow(v, 0), f.Epoch, omni.Answer{Text: "late"},
			time.Minute, w.attempt())
		require.NoError(t, err)
		require.Equal(t, "cancelled", state)
		_, why := w.fate(v, 0)
		require.Equal(t, "message", why)
	})
	t.Run("taken over", func(t *testing.T) {
		t.Parallel()
		w, e, v, f := begin(t)
		turns, err := w.TakeoverChat(t.Context(), e.ChatID(), omni.Takeover{Reason: "by call"})
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{f.TurnID.UUID}, turns, "whose agent call is to be hurried")
		_, why := w.fate(v, 0)
		require.Equal(t, "takeover", why)
	})
	for why, happens := range map[string]func(w *world, e omni.Envelope){
		"message": func(w *world, _ omni.Envelope) {
			denied := w.inbound("c1", "ana", "m2", "yes") // it never joins: the turn is not told
			w.record(denied)
			w.exec(`UPDATE messages SET status = 'denied' WHERE id = $1`, denied.MessageID)
		},
		"own_message": func(w *world, _ omni.Envelope) {
			own := w.inbound("c1", "me", "m2", "from my phone")
			own.Event.IsFromMe = true
			w.record(own)
		},
		"settings": func(w *world, _ omni.Envelope) { w.configure() },
	} {
		t.Run("nobody tells it: "+why, func(t *testing.T) {
			t.Parallel()
			w, e, v, f := begin(t)
			stands := func() bool {
				ok, err := w.FollowUpStands(t.Context(), e.ChatID(), f.TurnID.UUID, followUpWorkflow(v, 0), f.Epoch, w.attempt())
				require.NoError(t, err)
				return ok
			}
			require.True(t, stands(), "the chat is silent")
			happens(w, e)
			require.False(t, stands())
			require.False(t, stands(), "the step may run again")
			state, reason := w.fate(v, 0)
			require.Equal(t, "cancelled "+why, state+" "+reason)
			require.Equal(t, 1, count(w.story(e.MessageID), "followup.cancelled"))
			late, _, err := w.AnswerTurn(t.Context(), e.ChatID(), f.TurnID.UUID, followUpWorkflow(v, 0), f.Epoch, omni.Answer{Text: "late"},
				time.Minute, w.attempt())
			require.NoError(t, err)
			require.Equal(t, "cancelled", late)
		})
	}
	t.Run("another holds it", func(t *testing.T) {
		t.Parallel()
		w, e, v, f := begin(t)
		stands, err := w.FollowUpStands(t.Context(), e.ChatID(), f.TurnID.UUID, followUpWorkflow(v, 0), f.Epoch+1, w.attempt())
		require.NoError(t, err)
		require.False(t, stands)
		state, _ := w.fate(v, 0)
		require.Equal(t, "sending", state, "and goes on with it")
	})
	t.Run("some of it has left", func(t *testing.T) {
		t.Parallel()
		w, e, v, f := begin(t)
		w.say(e, f, followUpWorkflow(v, 0), "do you need more help?")
		require.Equal(t, "claimed", w.part(e, f, followUpWorkflow(v, 0)).State)
		w.record(w.inbound("c1", "ana", "m2", "yes"))
		stands, err := w.FollowUpStands(t.Context(), e.ChatID(), f.TurnID.UUID, followUpWorkflow(v, 0), f.Epoch, w.attempt())
		require.NoError(t, err)
		require.True(t, stands)
	})
	t.Run("handed over already", func(t *testing.T) {
		t.Parallel()
		w, e, v, f := begin(t)
		w.say(e, f, followUpWorkflow(v, 0), "do you need more help?")
		c := w.part(e, f, followUpWorkflow(v, 0))
		require.Equal(t, "claimed", c.State)
		next := w.receive("c1", "ana", "m2", "yes")
		require.Equal(t, "behind", w.join(next, 0).State, "one delivery at a time")
	})
	t.Run("the agent fails", func(t *testing.T) {
		t.Parallel()
		w, e, v, f := begin(t)
		for range 2 {
			state, parts, err := w.GiveUpTurn(t.Context(), omni.TurnFailure{ChatID: e.ChatID(), TurnID: f.TurnID.UUID,
				WorkflowID: followUpWorkflow(v, 0), Epoch: f.Epoch, Error: "503", Attempts: 1}, w.attempt())
			require.NoError(t, err)
			require.Equal(t, "closed", state)
			require.Zero(t, *parts, "nobody asked, so no fallback text goes out")
		}
		var letters int
		require.NoError(t, w.Pool().QueryRow(t.Context(), `SELECT count(*) FROM dead_letters WHERE turn_id = $1
			AND input -> 'messages' -> 0 ->> 'text' LIKE 'Ask%'`, f.TurnID.UUID).Scan(&letters))
		require.Equal(t, 1, letters)
		outcome, _, err := w.FinishTurn(t.Context(), omni.FinishParams{ChatID: e.ChatID(), TurnID: f.TurnID.UUID,
			WorkflowID: followUpWorkflow(v, 0), Epoch: f.Epoch, Outcome: "failed", Attempt: w.attempt()})
		require.NoError(t, err)
		require.Equal(t, "failed", outcome)
		_, why := w.fate(v, 0)
		require.Equal(t, "failed", why)
	})
}

// A newer answer takes the place of what was to follow the one before.
func TestNextAnswerReplacesFollowUps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(omni.FollowUp{AfterSeconds: 60, Text: "one"}, omni.FollowUp{AfterSeconds: 120, AgentPrompt: "two"})
	_, first := w.exchange("c1", "m1")
	e, second := w.exchange("c1", "m2")
	for n := range 2 {
		state, why := w.fate(first, n)
		require.Equal(t, "cancelled message", state+" "+why)
		state, _ = w.fate(second, n)
		require.Equal(t, "scheduled", state)
	}
	w.due()
	f := w.claimFollowUp(e, second, 0)
	require.Equal(t, "closed", f.State)
	require.Equal(t, "behind", w.claimFollowUp(e, second, 1).State, "one after the other")
}

// A message is recorded at the very moment of the claim. The claim's part may
// only have begun if the message was not there yet: the log's order within the
// chat says so.
func TestFollowUpClaimRacesWithAMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(omni.FollowUp{AfterSeconds: 60, Text: "still there?"})
	sent := 0
	for i := range 40 {
		chat := fmt.Sprint("c", i)
		e, v := w.exchange(chat, fmt.Sprint("m", i))
		w.due()
		f := w.claimFollowUp(e, v, 0)
		require.Equal(t, "closed", f.State)
		workflow := followUpWorkflow(v, 0)
		w.say(e, f, workflow, "still there?")
		next := w.inbound(chat, "ana", fmt.Sprint("n", i), "yes")
		var part omni.PartClaim
		atOnce(t, func(ctx context.Context) error { return w.Record(ctx, []omni.Envelope{next}, 0) },
			w.claims(e, f, workflow, "me/1/1", &part))
		if part.State == "claimed" {
			sent++
			require.Less(t, w.eventSeq(part.MessageID, "message.sending"), w.eventSeq(next.MessageID, "message.received"),
				"it was sent after the message had been recorded")
			continue
		}
		require.Equal(t, "cancelled", part.State)
		require.Less(t, w.eventSeq(next.MessageID, "message.received"), w.eventSeq(f.TurnID.UUID, "turn.cancelled"))
	}
	t.Logf("%d of 40 were sent before the message", sent)
}

// The recorder has written the message but not committed it: the claim waits,
// and sees it.
func TestFollowUpClaimWaitsForTheRecorder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(omni.FollowUp{AfterSeconds: 60, Text: "still there?"})
	e, v := w.exchange("c1", "m1")
	w.due()
	next := w.inbound("c1", "ana", "m2", "yes")
	tx, err := w.Pool().Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	require.NoError(t, store.RecordIn(t.Context(), tx, next))
	got := make(chan string, 1)
	go func() {
		out, err := w.ClaimFollowUp(context.WithoutCancel(t.Context()), w.followUpClaim(e, v, 0))
		if err != nil {
			t.Error(err)
		}
		got <- out.State
	}()
	require.Eventually(t, func() bool {
		var waiting int
		err := w.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE '%follow_up_claim%'`).Scan(&waiting)
		return err == nil && waiting == 1
	}, 10*time.Second, 5*time.Millisecond, "the claim waits for the chat")
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, "cancelled", <-got)
}

func TestUncheckedFollowUps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configure(omni.FollowUp{AfterSeconds: 60, Text: "one"}, omni.FollowUp{AfterSeconds: 120, Text: "two"})
	e, v := w.exchange("c1", "m1")
	unchecked := func() []omni.PendingFollowUp {
		list, err := w.UncheckedFollowUps(t.Context(), 10)
		require.NoError(t, err)
		return list
	}
	require.Empty(t, unchecked(), "the workflow itself arms them")
	require.NoError(t, w.ArmFollowUp(t.Context(), v.TurnID.UUID, 1))
	_, err := w.Pool().Exec(t.Context(), `UPDATE follow_ups SET check_at = check_at - interval '1 minute'`)
	require.NoError(t, err)
	list := unchecked()
	require.Len(t, list, 1)
	require.Equal(t, 0, list[0].N)
	require.False(t, list[0].Armed)
	require.NoError(t, w.DropFollowUp(t.Context(), e.ChatID(), v.TurnID.UUID, 0, "terminated"))
	require.NoError(t, w.DropFollowUp(t.Context(), e.ChatID(), v.TurnID.UUID, 0, "terminated"))
	require.Empty(t, unchecked())
	require.Equal(t, 1, count(w.story(e.MessageID), "followup.cancelled"))
}

func (w *world) eventSeq(subject uuid.UUID, typ string) (seq int64) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT seq FROM events WHERE subject = $1 AND type = $2`, subject.String(), typ).Scan(&seq))
	return seq
}

// sendByAPI accepts a message of POST /messages.
func (w *world) sendByAPI(chat string, at *time.Time) {
	w.t.Helper()
	key := uuid.New()
	_, err := w.AcceptOutbound(w.t.Context(), omni.OutboundDraft{ID: uuid.New(), TenantID: omni.DefaultTenant, InstanceID: w.instance,
		Channel: "custom", Chat: message.Chat{ID: chat, Type: message.ChatDM}, Content: message.Content{Type: message.TypeText, Text: "by hand"},
		SendAt: at, KeyHash: key[:], BodyHash: key[:]})
	require.NoError(w.t, err)
}

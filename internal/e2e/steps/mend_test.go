package steps

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

func refuses(*http.Request, []string) (int, string) { return http.StatusUnauthorized, "wrong key" }

// The agent is dead, and repaired. One retry, however often it is clicked,
// gives the one reply that was owed.
func TestRetryOfARepairedAgent(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	for name, fallback := range map[string]string{"nothing said": "", "after the fallback text": "sorry"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent := newLLM(t, refuses)
			l := w.newLine(t, object{"agent": agent.agent(object{"fallbackText": fallback})})
			id := l.say(t, "m1", "c1", "hello")
			d := l.letters(t, 1)[0]
			require.Equal(t, activities.AgentReply, d.Step)
			require.Equal(t, string(omni.AgentBadCredentials), d.Cause)
			require.Contains(t, d.Input, "hello")
			w.becomes(t, id, "failed")
			want := []string{}
			if fallback != "" {
				l.hears(t, 5*time.Second, "c1", fallback)
				want = append(want, fallback)
			}

			agent.set(says("the answer", 300*time.Millisecond))
			var clicks sync.WaitGroup
			for range 5 {
				clicks.Go(func() {
					if status, code := w.retry(t, d.ID); status != http.StatusOK {
						t.Errorf("%d %s", status, code)
					}
				})
			}
			clicks.Wait()
			require.Equal(t, "processing", w.status(t, id))
			want = append(want, "the answer")
			l.hears(t, answeredWithin, "c1", want...)
			workflow := activities.TurnWorkflowID(d.TurnID, 2)
			w.finished(t, workflow)
			w.record(t, workflows.TypeTurn, "retried-agent", workflow)
			require.Equal(t, "answered", w.status(t, id))
			require.Equal(t, []string{workflows.MessageWorkflowID(id), workflow}, w.workflowsIn(t, id))
			calls := agent.calls()
			require.Len(t, calls, 2, "asked once more")
			require.Equal(t, calls[0], calls[1], "under the same key")
			events := w.events(t, id)
			require.Equal(t, len(want), events["message.sent"])
			require.Equal(t, 1, events["turn.completed"])
			status, code := w.retry(t, d.ID)
			require.Equal(t, http.StatusConflict, status)
			require.Equal(t, "dead_letter_not_open", code)
			l.letters(t, 0)

			// The chat goes on.
			l.say(t, "m2", "c1", "thanks")
			l.hears(t, answeredWithin, "c1", append(want, "the answer")...)
		})
	}
}

// A channel refuses the second part for good. Mended, only that one is sent,
// under the key it had.
func TestRetryOfADelivery(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	l := w.newLine(t, nil)
	l.out.Fault(customtest.Fault{}, customtest.Fault{Status: http.StatusBadRequest})
	id := l.say(t, "m1", "c1", "one\n\ntwo\n\nthree")
	d := l.letters(t, 1)[0]
	require.Equal(t, activities.DeliverSend, d.Step)
	require.Equal(t, "rejected", d.Cause)
	require.Equal(t, 1, d.Attempts)
	w.becomes(t, id, "failed")
	require.Equal(t, []string{"sent", "failed", "cancelled"}, w.parts(t, l.chat("c1")))

	// It fails once more: that is another dead letter.
	l.out.Fault(customtest.Fault{Status: http.StatusBadRequest})
	status, code := w.retry(t, d.ID)
	require.Equal(t, http.StatusOK, status, code)
	w.finished(t, activities.TurnWorkflowID(d.TurnID, 2))
	again := l.letters(t, 1)[0]
	require.NotEqual(t, d.ID, again.ID)
	require.Equal(t, 2, again.Attempts, "of the part")
	require.Equal(t, "failed", w.status(t, id))

	status, code = w.retry(t, again.ID)
	require.Equal(t, http.StatusOK, status, code)
	l.hears(t, answeredWithin, "c1", "one", "two", "three")
	workflow := activities.TurnWorkflowID(d.TurnID, 3)
	w.finished(t, workflow)
	w.record(t, workflows.TypeTurn, "retried-delivery", workflow)
	require.Equal(t, "answered", w.status(t, id))
	seen := map[string][]string{}
	for _, c := range l.out.Calls() {
		seen[c.Message.Content.Text] = append(seen[c.Message.Content.Text], c.Message.Key)
	}
	require.Len(t, seen["one"], 1, "what was delivered is not sent again")
	require.Len(t, seen["two"], 3)
	require.Equal(t, seen["two"][0], seen["two"][2], "the same key")
	require.Equal(t, 1, w.events(t, id)["agent.response"])
}

// A message sent by API that the channel refuses for good.
func TestRetryOfAnOutboundMessage(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	l := w.newLine(t, nil)
	l.out.Fault(customtest.Fault{Status: http.StatusBadRequest})
	var sent struct{ ID uuid.UUID }
	w.call(t, http.MethodPost, "/api/v1/messages", object{"instanceId": l.id, "to": "c1",
		"content": object{"type": "text", "text": "your order"}}, &sent)
	d := l.letters(t, 1)[0]
	require.Equal(t, uuid.Nil, d.TurnID)
	require.Contains(t, d.Input, "your order")
	require.Equal(t, "failed", w.status(t, sent.ID))
	for range 2 {
		if status, _ := w.retry(t, d.ID); status != http.StatusOK {
			require.Equal(t, http.StatusConflict, status)
		}
	}
	l.hears(t, answeredWithin, "c1", "your order")
	workflow := workflows.OutboundRetryWorkflowID(omni.DefaultTenant, sent.ID, d.ID)
	w.finished(t, workflow)
	w.record(t, workflows.TypeOutbound, "retried", workflow)
	require.Equal(t, []string{workflows.OutboundWorkflowID(omni.DefaultTenant, sent.ID), workflow}, w.workflowsIn(t, sent.ID))
	require.Equal(t, "sent", w.status(t, sent.ID))
	require.Len(t, l.out.Calls(), 2)
}

// A retry waits for its place in the chat: not while another turn answers, and
// before what is newer than it.
func TestRetryKeepsTheOrderOfTheChat(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newLLM(t, refuses)
	l := w.newLine(t, object{"agent": agent.agent(nil)})
	first := l.say(t, "m1", "c1", "first")
	d := l.letters(t, 1)[0]
	w.becomes(t, first, "failed")
	<-agent.called

	release := make(chan struct{})
	agent.set(func(r *http.Request, texts []string) (int, string) {
		if last := texts[len(texts)-1]; last != "second" {
			return http.StatusOK, "re: " + last
		}
		return blockedUntil(release, "re: second")(r, texts)
	})
	l.say(t, "m2", "c1", "second")
	<-agent.called
	status, code := w.retry(t, d.ID)
	require.Equal(t, http.StatusOK, status, code)
	workflow := activities.TurnWorkflowID(d.TurnID, 2)
	w.waits(t, workflow)
	third := l.say(t, "m3", "c1", "third")
	w.waits(t, workflows.MessageWorkflowID(third))
	require.Empty(t, l.out.Texts("c1"))
	close(release)
	l.hears(t, answeredWithin, "c1", "re: second", "re: first", "re: third")
	w.finished(t, workflow)
	w.record(t, workflows.TypeTurn, "retried-waits-behind", workflow)
}

// waits blocks until a workflow waits on a timer.
func (s *site) waits(t *testing.T, workflowID string) {
	t.Helper()
	require.Eventually(t, func() bool {
		events := s.temporal.GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				return false // it is about to be started
			}
			if e.GetTimerStartedEventAttributes() != nil {
				return true
			}
		}
		return false
	}, 10*time.Second, 50*time.Millisecond, "%s waits", workflowID)
}

// In a chat that a person has taken over nothing is retried; and a person who
// takes it over while a retry is under way cuts that off.
func TestRetryAndTakeover(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newLLM(t, refuses)
	l := w.newLine(t, object{"agent": agent.agent(nil)})
	id := l.say(t, "m1", "c1", "hello")
	d := l.letters(t, 1)[0]
	w.becomes(t, id, "failed")
	<-agent.called
	chat := "/api/v1/chats/" + l.chat("c1").String()
	var ignored object
	w.call(t, http.MethodPost, chat+"/takeover", object{}, &ignored)
	agent.set(blockedUntil(nil, ""))
	status, code := w.retry(t, d.ID)
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "chat_paused", code)
	require.Equal(t, "failed", w.status(t, id))
	var bulk struct {
		Count   int
		Reasons map[string]int
	}
	w.call(t, http.MethodPost, "/api/v1/dead-letters/retry", object{"instanceId": l.id}, &bulk)
	require.Zero(t, bulk.Count)
	require.Equal(t, map[string]int{"chat_paused": 1}, bulk.Reasons)
	l.letters(t, 1)

	w.call(t, http.MethodPost, chat+"/resume", nil, &ignored)
	status, code = w.retry(t, d.ID)
	require.Equal(t, http.StatusOK, status, code)
	<-agent.called
	w.call(t, http.MethodPost, chat+"/takeover", object{}, &ignored)
	w.finished(t, activities.TurnWorkflowID(d.TurnID, 2))
	require.Equal(t, "cancelled", w.status(t, id))
	require.Empty(t, l.out.Texts("c1"))
}

// An agent that was dead for everybody: one call mends all.
func TestRetryInBulkByCause(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newLLM(t, refuses)
	l := w.newLine(t, object{"agent": agent.agent(nil)})
	const chats, each = 6, 2
	for i := range each {
		for c := range chats {
			l.say(t, fmt.Sprintf("m%d-%d", c, i), fmt.Sprint("c", c), fmt.Sprint("line ", i))
		}
		l.letters(t, chats*(i+1))
	}
	agent.set(func(_ *http.Request, texts []string) (int, string) {
		return http.StatusOK, "re: " + texts[len(texts)-1]
	})
	selection := object{"cause": "bad_credentials", "instanceId": l.id, "dryRun": true}
	var bulk struct{ Count, Refused, Remaining int }
	w.call(t, http.MethodPost, "/api/v1/dead-letters/retry", selection, &bulk)
	require.Equal(t, chats*each, bulk.Count)
	require.Empty(t, l.out.Calls())
	delete(selection, "dryRun")
	w.call(t, http.MethodPost, "/api/v1/dead-letters/retry", selection, &bulk)
	require.Equal(t, chats*each, bulk.Count)
	require.Zero(t, bulk.Refused+bulk.Remaining)
	for c := range chats {
		l.hears(t, answeredWithin, fmt.Sprint("c", c), "re: line 0", "re: line 1")
		for i := range each {
			w.becomes(t, l.message(fmt.Sprintf("m%d-%d", c, i)), "answered")
		}
	}
	w.call(t, http.MethodPost, "/api/v1/dead-letters/retry", selection, &bulk)
	require.Zero(t, bulk.Count)
	require.Len(t, l.out.Calls(), chats*each)
}

// What could not be recorded is, once the reason is gone: and then answered.
func TestRetryOfPoison(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	_, err := w.db.Exec(t.Context(), `ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (text <> 'poison')`)
	require.NoError(t, err)
	l := w.newLine(t, nil)
	id := l.say(t, "m1", "c1", "poison")
	d := l.letters(t, 1)[0]
	require.Equal(t, "ingest.Record", d.Step)
	require.Equal(t, "sqlstate_23514", d.Cause)

	status, code := w.retry(t, d.ID) // too early: it is refused again
	require.Equal(t, http.StatusOK, status, code)
	again := l.letters(t, 1)[0]
	require.NotEqual(t, d.ID, again.ID)
	_, err = w.db.Exec(t.Context(), `ALTER TABLE messages DROP CONSTRAINT no_poison`)
	require.NoError(t, err)
	status, code = w.retry(t, again.ID)
	require.Equal(t, http.StatusOK, status, code)
	l.hears(t, answeredWithin, "c1", "poison")
	w.finished(t, workflows.MessageWorkflowID(id))
	require.Equal(t, "answered", w.status(t, id))
	require.Equal(t, 1, w.events(t, id)["message.received"])
	require.Equal(t, 1, w.events(t, id)["message.sent"])
}

// workflowsIn are the workflows that a message's trace names, all of which
// Temporal knows.
func (s *site) workflowsIn(t *testing.T, message uuid.UUID) (ids []string) {
	t.Helper()
	var trace omni.Trace
	s.call(t, http.MethodGet, "/api/v1/messages/"+message.String()+"/trace", nil, &trace)
	for _, w := range trace.Workflows {
		require.NotEmpty(t, w.RunID, w.ID)
		ids = append(ids, w.ID)
	}
	return ids
}

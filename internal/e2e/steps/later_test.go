package steps

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/workflows"
)

// program is a webhook agent: it accepts every turn, and answers it when the
// test says so.
type program struct {
	*httptest.Server
	secret string
	turns  chan programTurn
	status int // of its response; 202 unless said otherwise
	before func(programTurn)
}

type programTurn struct {
	TurnID   uuid.UUID
	Session  string
	Messages []struct{ Text string }
}

func newProgram(t *testing.T) *program {
	t.Helper()
	key := make([]byte, 32)
	_, err := rand.Read(key)
	require.NoError(t, err)
	p := &program{secret: "whsec_" + base64.StdEncoding.EncodeToString(key), turns: make(chan programTurn, 100), status: http.StatusAccepted}
	verifier, err := standardwebhooks.NewWebhook(p.secret)
	require.NoError(t, err)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var turn programTurn
		if err != nil || verifier.Verify(body, r.Header) != nil || json.Unmarshal(body, &turn) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if p.before != nil {
			p.before(turn)
		}
		p.turns <- turn
		w.WriteHeader(p.status)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *program) agent(extra object) object {
	a := object{"provider": "webhook", "apiUrl": p.URL + "/turn", "apiKey": p.secret, "quick": "never"}
	maps.Copy(a, extra)
	return a
}

func replyPath(turn uuid.UUID) string { return "/api/v1/turns/" + turn.String() + "/reply" }

// replies is the program's own call; it returns the status and the code of a refusal.
func (s *site) replies(t *testing.T, turn uuid.UUID, body any) (int, string) {
	t.Helper()
	return s.try(t, http.MethodPost, replyPath(turn), body)
}

// awaiting waits until the turn of a message says that it waits.
func (s *site) awaiting(t *testing.T, turn uuid.UUID) {
	t.Helper()
	require.Eventually(t, func() bool {
		var yes bool
		err := s.db.QueryRow(t.Context(), `SELECT awaiting AND state = 'answering' FROM turns WHERE id = $1`, turn).Scan(&yes)
		return err == nil && yes
	}, 10*time.Second, 10*time.Millisecond)
}

// A webhook agent accepts the turn and answers it by a call of its own: within
// its time, once, in parts.
func TestAgentAnswersLater(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	p := newProgram(t)
	l := w.newLine(t, object{"agent": p.agent(nil)})
	m := l.say(t, "m1", "c1", "hello")
	turn := <-p.turns
	require.Equal(t, "hello", turn.Messages[0].Text)
	require.Equal(t, l.turn("m1"), turn.TurnID)
	w.awaiting(t, turn.TurnID)
	require.Empty(t, l.out.Texts("c1"))

	status, code := w.replies(t, uuid.New(), object{"text": "x"})
	require.Equal(t, []any{404, "not_found"}, []any{status, code})
	for _, bad := range []object{{}, {"text": " "}, {"parts": []any{}}, {"parts": []any{7}}, {"parts": []any{object{"type": "image"}}},
		{"parts": []any{object{"type": "image", "media": []object{{"url": "file:///etc/passwd"}}}}},
		{"parts": []any{"ok", object{"type": "image", "media": []object{{"url": "http://10.0.0.1/x.png"}}}}}} {
		status, _ = w.replies(t, turn.TurnID, bad)
		require.Contains(t, []int{400, 422}, status, "%v", bad)
	}
	reply := object{"parts": []any{"one", object{"type": "location", "location": object{"latitude": 1, "longitude": 2, "name": "Home"}}, "two\n\nthree"}}
	began := time.Now()
	status, _ = w.replies(t, turn.TurnID, reply)
	require.Equal(t, 200, status)
	l.hears(t, 10*time.Second, "c1", "one", "", "two", "three")
	require.Less(t, time.Since(began), 5*time.Second, "the workflow is woken, and does not find out by itself")
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, "answered", w.status(t, m))
	require.Equal(t, 1, w.events(t, m)["agent.response"])
	status, _ = w.replies(t, turn.TurnID, reply)
	require.Equal(t, 200, status, "the same reply again changes nothing")
	status, code = w.replies(t, turn.TurnID, object{"text": "no, this"})
	require.Equal(t, []any{409, "already_answered"}, []any{status, code})
	require.Len(t, l.out.Texts("c1"), 4)
	w.record(t, workflows.TypeMessage, "agent-answers-later", workflows.MessageWorkflowID(m))
}

// The program is quicker with its own call than with its 202.
func TestAgentAnswersBeforeItAccepts(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	p := newProgram(t)
	p.before = func(turn programTurn) {
		status, code := w.replies(t, turn.TurnID, object{"text": "quick as a flash"})
		if status != http.StatusOK {
			t.Errorf("the reply was refused: %d %s", status, code)
		}
	}
	l := w.newLine(t, object{"agent": p.agent(nil)})
	m := l.say(t, "m1", "c1", "hello")
	l.hears(t, 10*time.Second, "c1", "quick as a flash")
	w.finished(t, workflows.MessageWorkflowID(m))
	require.Equal(t, 1, w.events(t, m)["agent.response"])
}

// No reply in the agent's time is a failure like any other: on record, with
// the fallback text; what comes then is refused.
func TestAgentThatAcceptsAndForgets(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	p := newProgram(t)
	l := w.newLine(t, object{"agent": p.agent(object{"timeoutSeconds": 2, "fallbackText": "sorry"})})
	m := l.say(t, "m1", "c1", "hello")
	l.hears(t, 15*time.Second, "c1", "sorry")
	w.finished(t, workflows.MessageWorkflowID(m))
	letters := w.deadLetters(t, m)
	require.Len(t, letters, 1)
	require.Contains(t, letters[0].error, "sent no reply in its time")
	require.Equal(t, 1, w.events(t, m)["agent.error"])
	status, _ := w.replies(t, (<-p.turns).TurnID, object{"text": "here I am"})
	require.Equal(t, 409, status)
	require.Empty(t, p.turns, "it is not asked again")
	w.record(t, workflows.TypeMessage, "agent-forgets", workflows.MessageWorkflowID(m))

	bare := w.newLine(t, object{"agent": p.agent(object{"timeoutSeconds": 1})})
	m = bare.say(t, "m1", "c1", "hello")
	w.finishedWithin(t, 15*time.Second, workflows.MessageWorkflowID(m))
	require.Equal(t, "failed", w.status(t, m))
	status, code := w.replies(t, bare.turn("m1"), object{"text": "here I am"})
	require.Equal(t, []any{409, "turn_over"}, []any{status, code})
}

// A takeover, and a message that interrupts, end the wait at once.
func TestWaitingForAnAgentEnds(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	p := newProgram(t)
	l := w.newLine(t, object{"agent": p.agent(nil), "messaging": object{"whenBusy": "interrupt"}})
	m := l.say(t, "m1", "taken", "hello")
	turn := <-p.turns
	w.awaiting(t, turn.TurnID)
	w.call(t, http.MethodPost, "/api/v1/chats/"+l.chat("taken").String()+"/takeover", object{"untilSeconds": 60}, &struct{}{})
	w.finishedWithin(t, 10*time.Second, workflows.MessageWorkflowID(m))
	require.Equal(t, "cancelled", w.status(t, m))
	status, code := w.replies(t, turn.TurnID, object{"text": "x"})
	require.Equal(t, []any{409, "turn_over"}, []any{status, code})

	first := l.say(t, "m2", "busy", "one")
	turn = <-p.turns
	w.awaiting(t, turn.TurnID)
	second := l.say(t, "m3", "busy", "two")
	both := <-p.turns
	require.Len(t, both.Messages, 2)
	w.finishedWithin(t, 10*time.Second, workflows.MessageWorkflowID(first))
	status, _ = w.replies(t, turn.TurnID, object{"text": "to the first"})
	require.Equal(t, 409, status)
	w.awaiting(t, both.TurnID)
	status, _ = w.replies(t, both.TurnID, object{"text": "to both"})
	require.Equal(t, 200, status)
	l.hears(t, 10*time.Second, "busy", "to both")
	w.finished(t, workflows.MessageWorkflowID(second))
}

// The hub is killed while turns wait. One is answered while nobody runs its
// workflow, another after the restart; a third one's workflow is terminated,
// and whoever adopts the turn goes on waiting.
func TestWaitingOutlivesTheHub(t *testing.T) {
	t.Parallel()
	c := newChild(t)
	c.start(t, orders{})
	p := newProgram(t)
	l := c.newLine(t, object{"agent": p.agent(object{"timeoutSeconds": 120})})
	turns := map[string]uuid.UUID{}
	for _, chat := range []string{"killed", "adopted"} {
		l.say(t, chat, chat, "hello "+chat)
		turn := <-p.turns
		turns[chat] = turn.TurnID
		c.awaiting(t, turn.TurnID)
	}
	require.NoError(t, c.cmd.Process.Kill())
	<-c.done
	c.cmd = nil
	require.NoError(t, c.temporal.TerminateWorkflow(t.Context(), workflows.MessageWorkflowID(l.message("adopted")), "", "by an operator"))
	_, err := c.db.Exec(t.Context(), `UPDATE turns SET due_at = now() WHERE id = $1`, turns["adopted"])
	require.NoError(t, err)
	c.start(t, orders{})
	status, _ := c.replies(t, turns["killed"], object{"text": "late, not lost"})
	require.Equal(t, 200, status)
	l.hears(t, 15*time.Second, "killed", "late, not lost")
	require.Eventually(t, func() bool {
		return c.turnOf(t, l.message("adopted")).epoch == 2
	}, time.Minute, 100*time.Millisecond, "the janitor gives the turn to another workflow")
	c.awaiting(t, turns["adopted"])
	status, _ = c.replies(t, turns["adopted"], object{"text": "in good hands"})
	require.Equal(t, 200, status)
	l.hears(t, 15*time.Second, "adopted", "in good hands")
	require.Empty(t, p.turns, "nobody was asked twice")
}

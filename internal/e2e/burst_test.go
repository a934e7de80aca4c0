package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// tell sends an event of any kind in a chat and returns the id of its message.
// extra is merged over what every event has.
func (l *line) tell(kind, id string, chat, extra object) string {
	l.hub.t.Helper()
	event := object{"id": id, "kind": kind, "chat": chat, "sender": object{"id": "ana", "name": "Ana"}}
	maps.Copy(event, extra)
	a, err := l.Send(l.hub.t.Context(), id, event)
	require.NoError(l.hub.t, err)
	require.Equal(l.hub.t, http.StatusAccepted, a.Status, string(a.Body))
	return a.MessageID
}

func dm(id string) object    { return object{"id": id, "type": "dm"} }
func group(id string) object { return object{"id": id, "type": "group"} }
func text(s string) object   { return object{"type": "text", "text": s} }

// reason is why a message is not answered.
func (l *line) reason(id string) string {
	l.hub.t.Helper()
	var m struct{ StatusReason string }
	l.hub.call(http.MethodGet, "/api/v1/messages/"+id, nil, &m)
	return m.StatusReason
}

// The wait that was drawn is kept: a restart neither draws nor counts anew.
func TestKillInsideARandomizedDebounce(t *testing.T) {
	h := newHub(t)
	l := h.newLine(object{"messaging": object{"debounceMode": "randomized", "debounceMinMs": 12000, "debounceMaxMs": 20000}})
	began := time.Now()
	id := l.say("m1", "c1", "hello")
	l.becomes(id, "processing", 10*time.Second) // its turn has begun, the wait is drawn
	h.kill()
	h.start()
	restarted := time.Since(began)
	drawn, _ := omni.Quiet(omni.MessagingConfig{DebounceMode: "randomized", DebounceMinMs: 12000, DebounceMaxMs: 20000,
		DebounceMaxWaitMs: 30000}, uuid.MustParse(id))
	l.hears(30*time.Second, "c1", 1)
	took := l.out.Bubbles()[0].At.Sub(began)
	require.Greater(t, took, drawn-time.Second, "it waited as long as was drawn")
	require.Less(t, took, max(drawn, restarted)+5*time.Second, "the restart cost nothing more: drawn %s, restarted after %s", drawn, restarted)
	if restarted > 6*time.Second {
		require.Less(t, took, drawn+restarted, "it did not begin to wait anew")
	}
	l.staysAt("c1", []string{"hello"})
}

func TestTypingExtendsTheDebounce(t *testing.T) {
	h := newHub(t)
	l := h.newLine(object{"messaging": object{"debounceMode": "fixed", "debounceMs": 1500}})
	began := time.Now()
	l.tell("message", "m1", dm("c1"), object{"content": text("one")})
	l.tell("typing", "t1", dm("c1"), nil)
	pause(t.Context(), 3500*time.Millisecond-time.Since(began))
	require.Empty(t, l.out.Texts("c1"), "somebody types")
	l.tell("message", "m2", dm("c1"), object{"content": text("two")})
	wrote := time.Now()
	l.hears(20*time.Second, "c1", 1)
	took := l.out.Bubbles()[0].At.Sub(wrote)
	require.Greater(t, took, time.Second)
	require.Less(t, took, omni.TypingFor, "who has written types no more")
	l.staysAt("c1", []string{"one\ntwo"})

	// It never puts an answer off beyond the cap.
	l = h.newLine(object{"messaging": object{"debounceMode": "fixed", "debounceMs": 1000, "debounceMaxWaitMs": 4000}})
	began = time.Now()
	l.tell("message", "m1", dm("c1"), object{"content": text("one")})
	for i := 0; time.Since(began) < 6*time.Second; i++ {
		l.tell("typing", fmt.Sprint("t", i), dm("c1"), nil)
		pause(t.Context(), 500*time.Millisecond)
	}
	l.hears(5*time.Second, "c1", 1)
	took = l.out.Bubbles()[0].At.Sub(began)
	require.Greater(t, took, 3*time.Second)
	require.Less(t, took, 6*time.Second)

	// Somebody who has stopped is answered.
	began = time.Now()
	l = h.newLine(object{"messaging": object{"debounceMode": "fixed", "debounceMs": 500}})
	l.tell("message", "m1", dm("c1"), object{"content": text("one")})
	l.tell("typing", "t1", dm("c1"), nil)
	l.hears(omni.TypingFor+5*time.Second, "c1", 1)
	require.Greater(t, l.out.Bubbles()[0].At.Sub(began), omni.TypingFor-time.Second)
}

func TestWhatIsCollectedCanBeAmended(t *testing.T) {
	h := newHub(t)
	l := h.newLine(object{"messaging": object{"debounceMode": "fixed", "debounceMs": 2500}})
	for i, s := range []string{"helo", "never mind", "bye"} {
		l.tell("message", fmt.Sprint("m", i), dm("c1"), object{"content": text(s)})
	}
	gone := []string{l.tell("message", "d1", dm("c2"), object{"content": text("oops")}),
		l.tell("message", "d2", dm("c2"), object{"content": text("oops again")})}
	l.tell("edit", "e1", dm("c1"), object{"targetId": "m0", "content": text("hello")})
	l.tell("delete", "e2", dm("c1"), object{"targetId": "m1"})
	l.tell("delete", "e3", dm("c2"), object{"targetId": "d1"})
	l.tell("delete", "e4", dm("c2"), object{"targetId": "d2"})
	l.hears(15*time.Second, "c1", 1)
	for id, status := range l.settled(15*time.Second, gone...) {
		require.Equal(t, "ignored", status, id)
	}
	l.staysAt("c1", []string{"hello\nbye"})
	require.Empty(t, l.out.Texts("c2"))
}

// Two messages within milliseconds, debounce disabled: nothing is dropped, and
// whatever is answered together, the order is the order of arrival.
func TestBurstsWithoutDebounceKeepTheirOrder(t *testing.T) {
	const chats = 12
	h := newHub(t)
	l := h.newLine(nil)
	for c := range chats {
		for i := range 2 {
			l.say(fmt.Sprintf("m-%d-%d", c, i), fmt.Sprint("c", c), fmt.Sprint("line ", i))
		}
	}
	for c := range chats {
		chat := fmt.Sprint("c", c)
		require.Eventually(t, func() bool { return strings.Join(l.out.Texts(chat), "\n") == "line 0\nline 1" }, 30*time.Second,
			20*time.Millisecond, "chat %s shows %q", chat, l.out.Texts(chat))
	}
}

func TestTriggersInAGroup(t *testing.T) {
	h := newHub(t)
	l := h.newLine(object{"messaging": object{"triggers": object{"names": []string{"José"}, "reactions": []string{"👍"}}}})
	g := group("g1")
	n := 0
	say := func(s string, extra object) string {
		n++
		if extra == nil {
			extra = object{}
		}
		extra["content"] = text(s)
		return l.tell("message", fmt.Sprint("m", n), g, extra)
	}
	answered := 0
	hears := func(want string) {
		t.Helper()
		answered++
		texts := l.hears(10*time.Second, "g1", answered)
		require.Equal(t, want, texts[answered-1])
	}
	ignored := func(id, reason string) {
		t.Helper()
		require.Equal(t, "ignored", l.settled(10*time.Second, id)[id])
		require.Equal(t, reason, l.reason(id))
	}
	ignored(say("hello everybody", nil), string(omni.RefusedNotForUs))
	say("you, bot", object{"mentions": []string{"bot"}})
	hears("you, bot")
	say("what does JOSE think?", nil)
	hears("what does JOSE think?")
	ignored(say("Josefina knows", nil), string(omni.RefusedNotForUs))
	ours := l.out.Bubbles()[0].ExternalID
	require.NotEmpty(t, ours)
	say("sure?", object{"replyTo": ours})
	hears("sure?")
	ignored(say("I meant you", object{"replyTo": "m1"}), string(omni.RefusedNotForUs))

	react := func(id, emoji, target string) string {
		return l.tell("reaction", id, g, object{"targetId": target, "content": object{"type": "reaction", "reaction": object{"emoji": emoji}}})
	}
	react("r1", "👍", ours)
	hears("👍")
	require.Equal(t, ours, l.out.Bubbles()[answered-1].Message.ReplyTo, "the answer is to what was reacted to")
	ignored(react("r2", "👍", "m1"), string(omni.RefusedNotOurs))
	ignored(react("r3", "🎉", ours), string(omni.RefusedReaction))
	l.staysAt("g1", []string{"you, bot", "what does JOSE think?", "sure?", "👍"})
}

// A bot on the other side that answers whatever we say: it ends within five
// turns, the log says why, and a person sets it going again.
func TestTwoBotsStop(t *testing.T) {
	h := newHub(t)
	l := h.newLine(nil)
	beep := func(id string) string {
		return l.tell("message", id, dm("c1"), object{"sender": object{"id": "robo", "isBot": true}, "content": text("beep " + id)})
	}
	var stopped string
	turns := 0
	for ; stopped == "" && turns < 10; turns++ {
		id := beep(fmt.Sprint("b", turns))
		if l.settled(10*time.Second, id)[id] == "ignored" {
			stopped = id
		}
	}
	require.Equal(t, 5, turns)
	require.Equal(t, "bot_loop", l.reason(stopped))
	require.Len(t, l.out.Texts("c1"), 4)
	var events []struct {
		Type string
		Data struct{ Reason, MessageID string }
	}
	h.call(http.MethodGet, "/api/v1/events?type=turn.cancelled&instanceId="+l.id, nil, &events)
	require.Len(t, events, 1)
	require.Equal(t, "bot_loop", events[0].Data.Reason)
	require.Equal(t, stopped, events[0].Data.MessageID)

	again := beep("again")
	require.Equal(t, "ignored", l.settled(10*time.Second, again)[again])
	person := l.tell("message", "p1", dm("c1"), object{"content": text("go on, you two")})
	require.Equal(t, "answered", l.settled(10*time.Second, person)[person])
	resumed := beep("resumed")
	require.Equal(t, "answered", l.settled(10*time.Second, resumed)[resumed])
}

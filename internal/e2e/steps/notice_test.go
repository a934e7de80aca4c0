package steps

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/workflows"
)

// While the agent works for longer than agent.noticeSeconds people see that
// somebody does: counted over all tries, not before, and never after the answer.
func TestStillWorking(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	for name, k := range map[string]struct {
		reply   func(try int) func(*http.Request, []string) (int, string)
		notices int // at least
	}{
		"slow": {func(int) func(*http.Request, []string) (int, string) {
			return says("the answer", 2500*time.Millisecond)
		}, 1},
		"quick": {func(int) func(*http.Request, []string) (int, string) { return says("the answer", 300*time.Millisecond) }, 0},
		"tried again": {func(try int) func(*http.Request, []string) (int, string) {
			if try < 3 { // the third begins three seconds after the first
				return func(*http.Request, []string) (int, string) { return http.StatusServiceUnavailable, "overloaded" }
			}
			return says("the answer", 300*time.Millisecond)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent := newLLM(t, nil)
			agent.set(func(r *http.Request, texts []string) (int, string) { return k.reply(len(agent.calls()))(r, texts) })
			l := w.newLine(t, object{"agent": agent.agent(object{"noticeSeconds": 1, "quick": "never"})})
			began := time.Now()
			id := l.say(t, "m1", "c1", "hello")
			l.hears(t, 20*time.Second, "c1", "the answer")
			w.finished(t, workflows.MessageWorkflowID(id))
			l.say(t, "m2", "c2", "hello") // whatever is still on its way comes before its end
			l.hears(t, 20*time.Second, "c2", "the answer")
			var before, after []customtest.Call
			answered := false
			for _, c := range l.out.Calls() {
				switch {
				case c.Message.Chat.ID != "c1":
				case c.Message.Kind == message.KindMessage:
					answered = true
				case answered:
					after = append(after, c)
				default:
					before = append(before, c)
				}
			}
			require.Empty(t, after, "never after the answer")
			require.GreaterOrEqual(t, len(before), k.notices)
			if k.notices == 0 {
				require.Empty(t, before)
				return
			}
			require.Equal(t, message.KindTyping, before[0].Message.Kind)
			require.GreaterOrEqual(t, before[0].At.Sub(began), time.Second)
		})
	}
}

package steps

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/workflows"
)

// Without the cache every workflow task replays its whole history, as it does
// after each restart: the same must come of it.
func TestWithAndWithoutStickyCache(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]bool{"on": false, "off": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChild(t)
			c.start(t, orders{StickyOff: off})
			t.Run("happy", func(t *testing.T) {
				t.Parallel()
				for _, way := range []way{quickWay, regularWay} {
					d := &death{kill: kill{way: way}, line: c.newLine(t, way.settings), chat: "c1"}
					d.message = d.line.say(t, "m1", "c1", way.text)
					d.line.hears(t, 20*time.Second, "c1", way.want...)
					c.answeredOnce(t, d)
				}
			})
			t.Run("debounce", func(t *testing.T) {
				t.Parallel()
				l := c.newLine(t, object{"messaging": object{"debounceMode": "fixed", "debounceMs": 1000}})
				first := l.say(t, "m1", "c1", "one")
				l.say(t, "m2", "c1", "two")
				last := l.say(t, "m3", "c1", "three")
				l.hears(t, 20*time.Second, "c1", "one\ntwo\nthree")
				c.finished(t, workflows.MessageWorkflowID(first))
				c.finished(t, workflows.MessageWorkflowID(last))
				require.Equal(t, "answered", c.status(t, last))
				require.Equal(t, c.turnOf(t, first), c.turnOf(t, last))
				require.Len(t, l.out.Calls(), 1)
			})
			t.Run("behind", func(t *testing.T) {
				t.Parallel()
				release := make(chan struct{})
				agent := newLLM(t, blockedUntil(release, "answer"))
				l := c.newLine(t, object{"agent": agent.agent(nil)})
				first := l.say(t, "m1", "c1", "one")
				<-agent.called
				second := l.say(t, "m2", "c1", "two")
				third := l.say(t, "m3", "c1", "three")
				require.Eventually(t, func() bool { return c.turnOf(t, third).state == "collecting" }, 10*time.Second, 10*time.Millisecond)
				require.Equal(t, c.turnOf(t, second), c.turnOf(t, third), "what comes while a turn answers is collected")
				close(release)
				l.hears(t, 20*time.Second, "c1", "answer", "answer")
				require.Equal(t, "answered", c.status(t, first))
				c.finished(t, workflows.MessageWorkflowID(second))
				require.Equal(t, "answered", c.status(t, second))
				require.Equal(t, "answered", c.status(t, third))
			})
		})
	}
}

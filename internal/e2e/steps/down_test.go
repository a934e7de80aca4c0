package steps

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/workflows"
)

// An agent that is down for a while: what was written meanwhile is answered
// late, each once, in the order of its chat, and the log says what happened.
func TestAnAgentThatIsDownForAWhile(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	agent := newLLM(t, func(*http.Request, []string) (int, string) { return http.StatusServiceUnavailable, "down" })
	l := w.newLine(t, object{"agent": agent.agent(object{"quick": "never"})})
	chats := []string{"c1", "c2", "c3"}
	leads := map[string]uuid.UUID{}
	var all []uuid.UUID
	for _, chat := range chats {
		leads[chat] = l.say(t, chat+"-1", chat, "one")
		all = append(all, leads[chat])
	}
	for range chats {
		<-agent.called
	}
	for _, chat := range chats { // their turn waits behind the one that the agent fails
		all = append(all, l.say(t, chat+"-2", chat, "two"), l.say(t, chat+"-3", chat, "three"))
	}
	for tries := len(chats); tries < 3*len(chats); tries++ { // three tries each, on average
		<-agent.called
	}
	agent.set(func(_ *http.Request, texts []string) (int, string) {
		return http.StatusOK, fmt.Sprint("re: ", texts[len(texts)-1])
	})
	for _, chat := range chats {
		l.hears(t, 40*time.Second, chat, "re: one", "re: three")
	}
	for _, id := range all {
		w.finished(t, workflows.MessageWorkflowID(id))
		require.Equal(t, "answered", w.status(t, id))
	}
	for _, chat := range chats {
		require.Equal(t, []string{"re: one", "re: three"}, l.out.Texts(chat))
		events := w.events(t, leads[chat])
		require.GreaterOrEqual(t, events["agent.error"], 2, "each try is on record")
		require.Equal(t, 1, events["agent.response"])
	}
	l.letters(t, 0)
}

// Agents that think for long in many chats delay nobody else, whether they are
// called inside the workflow task or beside it.
func TestSlowAgentsDelayNoOtherChat(t *testing.T) {
	t.Parallel()
	const slow, others = 80, 10
	w := newWatched(t, slog.LevelInfo)
	for _, quick := range []string{"never", "always"} {
		t.Run("quick "+quick, func(t *testing.T) {
			release := make(chan struct{})
			agent := newLLM(t, func(r *http.Request, texts []string) (int, string) {
				if slices.Contains(texts, "think") {
					select {
					case <-release:
					case <-r.Context().Done():
					}
				}
				return http.StatusOK, "answer"
			})
			l := w.newLine(t, object{"agent": agent.agent(object{"quick": quick})})
			for i := range slow {
				l.say(t, fmt.Sprint("s", i), fmt.Sprint("slow", i), "think")
			}
			for range slow {
				<-agent.called
			}
			for i := range others {
				began := time.Now()
				l.say(t, fmt.Sprint("q", i), fmt.Sprint("other", i), "hello")
				l.hears(t, 10*time.Second, fmt.Sprint("other", i), "answer")
				require.Less(t, time.Since(began), 2*time.Second, "while %d others wait for theirs", slow)
			}
			for i := range slow {
				require.Empty(t, l.out.Texts(fmt.Sprint("slow", i)))
			}
			close(release)
			for i := range slow {
				l.hears(t, 30*time.Second, fmt.Sprint("slow", i), "answer")
			}
		})
	}
}

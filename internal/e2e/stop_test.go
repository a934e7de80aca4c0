package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// SIGTERM during a call of the agent: one that ends in time is not made again,
// one that does not is cut off and made again after the start. Nobody hears
// anything twice.
func TestStopDuringTheAgentCall(t *testing.T) {
	stopping, restarted := make(chan struct{}), make(chan struct{})
	wait := func(r *http.Request, until <-chan struct{}) {
		select {
		case <-until:
		case <-r.Context().Done():
		}
	}
	agent := newLLM(t, func(r *http.Request, texts []string) (int, string) {
		if texts[0] == "ends in time" {
			wait(r, stopping)
		} else {
			wait(r, restarted)
		}
		return http.StatusOK, "re: " + texts[0]
	})
	h := newHub(t)
	l := h.newLine(object{"agent": agent.agent(object{"quick": "never", "timeoutSeconds": 120})})
	ids := []string{l.say("m1", "c1", "ends in time"), l.say("m2", "c2", "takes long")}
	<-agent.called
	<-agent.called
	// The first answers while the hub is stopping.
	answers := time.AfterFunc(500*time.Millisecond, func() { close(stopping) })
	defer answers.Stop()
	h.stop() // within 15 s
	require.Empty(t, agent.called, "nothing is asked again while the hub stops")
	h.start()
	close(restarted)
	began := time.Now()
	l.hears(answeredWithin-time.Since(began), "c1", 1)
	l.hears(answeredWithin-time.Since(began), "c2", 1)
	for id, status := range l.settled(answeredWithin, ids...) {
		require.Equal(t, "answered", status, id)
	}
	require.Len(t, agent.called, 1, "only what was cut off is asked again")
	l.staysAt("c1", []string{"re: ends in time"})
	require.Equal(t, []string{"re: takes long"}, l.out.Texts("c2"))
}

// SIGTERM between two parts: the rest goes out after the start, once.
func TestStopBetweenTwoParts(t *testing.T) {
	h := newHub(t)
	l := h.newLine(object{"messaging": object{"splitDelayMs": 4000}})
	id := l.say("m1", "c1", "part one\n\npart two\n\npart three")
	l.hears(10*time.Second, "c1", 1)
	h.stop()
	said := len(l.out.Texts("c1"))
	require.Less(t, said, 3)
	h.start()
	l.hears(2*answeredWithin, "c1", 3) // two pauses of its own
	require.Equal(t, "answered", l.settled(5*time.Second, id)[id])
	l.staysAt("c1", []string{"part one", "part two", "part three"})
}

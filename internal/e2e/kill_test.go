package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answeredWithin is the promise: answering again this long after a restart.
const answeredWithin = 15 * time.Second

// quietFor is how long a test listens for a bubble that must not come.
const quietFor = 3 * time.Second

// staysAt fails if the chat shows more than want.
func (l *line) staysAt(chat string, want []string) {
	l.hub.t.Helper()
	ctx, cancel := context.WithTimeout(l.hub.t.Context(), quietFor)
	defer cancel()
	texts, err := l.out.WaitTexts(ctx, chat, len(want)+1)
	require.Error(l.hub.t, err, "one reply only")
	require.Equal(l.hub.t, want, texts)
}

func TestKillAfterTheAcknowledgement(t *testing.T) {
	h := newHub(t)
	l := h.newLine(nil)
	id := l.say("m1", "c1", "hello")
	h.kill()
	restarted := time.Now()
	h.start()
	l.hears(answeredWithin-time.Since(restarted), "c1", 1)
	l.staysAt("c1", []string{"hello"})
	require.Equal(t, "answered", l.settled(5*time.Second, id)[id])
}

func TestKillInsideTheDebounce(t *testing.T) {
	h := newHub(t)
	l := h.newLine(object{"messaging": object{"debounceMode": "fixed", "debounceMs": 3000}})
	for i, text := range []string{"one", "two", "three"} {
		l.say(fmt.Sprint("m", i), "c1", text)
	}
	h.kill()
	restarted := time.Now()
	h.start()
	l.hears(answeredWithin-time.Since(restarted), "c1", 1)
	l.staysAt("c1", []string{"one\ntwo\nthree"})
}

func TestKillDuringTheAgentCall(t *testing.T) {
	release := make(chan struct{})
	agent := newLLM(t, func(r *http.Request, _ []string) (int, string) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return http.StatusOK, "the answer"
	})
	h := newHub(t)
	l := h.newLine(object{"agent": agent.agent(nil)})
	l.say("m1", "c1", "question")
	<-agent.called
	h.kill()
	close(release)
	restarted := time.Now()
	h.start()
	l.hears(answeredWithin-time.Since(restarted), "c1", 1)
	l.staysAt("c1", []string{"the answer"})
}

// However often a message's step was cut off by a kill, it is taken up soon
// after the last one.
func TestKillAgainAndAgainDuringTheAgentCall(t *testing.T) {
	release := make(chan struct{})
	agent := newLLM(t, func(r *http.Request, _ []string) (int, string) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return http.StatusOK, "the answer"
	})
	h := newHub(t)
	l := h.newLine(object{"agent": agent.agent(object{"quick": "always"})})
	l.say("m1", "c1", "question")
	var restarted time.Time
	for range 6 {
		select {
		case <-agent.called:
		case <-time.After(2 * time.Minute):
			t.Fatal("the agent is not asked again")
		}
		h.kill()
		restarted = time.Now()
		h.start()
	}
	close(release)
	l.hears(answeredWithin-time.Since(restarted), "c1", 1)
	l.staysAt("c1", []string{"the answer"})
}

func TestKillBetweenTwoParts(t *testing.T) {
	h := newHub(t)
	l := h.newLine(object{"messaging": object{"splitDelayMs": 1500}})
	l.say("m1", "c1", "part one\n\npart two\n\npart three")
	l.hears(10*time.Second, "c1", 1)
	h.kill()
	require.Less(t, len(l.out.Texts("c1")), 3)
	restarted := time.Now()
	h.start()
	l.hears(answeredWithin-time.Since(restarted), "c1", 3)
	l.staysAt("c1", []string{"part one", "part two", "part three"})
}

func TestSameEventAHundredTimes(t *testing.T) {
	h := newHub(t)
	l := h.newLine(nil)
	var wg sync.WaitGroup
	ids := make([]string, 100)
	dups := make([]bool, 100)
	for i := range ids {
		wg.Go(func() {
			a, err := l.SendText(t.Context(), "m1", "c1", "u1", "hello")
			if err == nil {
				ids[i], dups[i] = a.MessageID, a.Duplicate
			}
		})
	}
	wg.Wait()
	fresh := 0
	for i := range ids {
		require.Equal(t, ids[0], ids[i])
		if !dups[i] {
			fresh++
		}
	}
	require.Equal(t, 1, fresh, "one of them was not a duplicate")
	l.hears(10*time.Second, "c1", 1)
	l.staysAt("c1", []string{"hello"})
	var trace struct {
		Workflows []object
		Replies   []string
	}
	h.call(http.MethodGet, "/api/v1/messages/"+ids[0]+"/trace", nil, &trace)
	require.Len(t, trace.Workflows, 1)
	require.Len(t, trace.Replies, 1)

	// For ever, not only within the stream's window: also after a restart.
	h.kill()
	h.start()
	a, err := l.SendText(t.Context(), "m1", "c1", "u1", "hello")
	require.NoError(t, err)
	require.True(t, a.Duplicate)
	l.staysAt("c1", []string{"hello"})
}

func TestChatsKeepTheirOrder(t *testing.T) {
	const chats, each = 20, 5
	h := newHub(t)
	l := h.newLine(nil)
	var wg sync.WaitGroup
	for c := range chats {
		wg.Go(func() {
			for i := range each {
				_, err := l.SendText(t.Context(), fmt.Sprintf("m-%d-%d", c, i), fmt.Sprint("c", c), fmt.Sprint("u", c), fmt.Sprint("line ", i))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want := "line 0\nline 1\nline 2\nline 3\nline 4"
	for c := range chats {
		chat := fmt.Sprint("c", c)
		require.Eventually(t, func() bool { return strings.Join(l.out.Texts(chat), "\n") == want }, 30*time.Second, 20*time.Millisecond,
			"chat %s shows %q", chat, l.out.Texts(chat))
	}
}

// Five rounds of kill and start under traffic: everything acknowledged is
// answered once, in the order of its chat.
func TestFiveKillsUnderTraffic(t *testing.T) {
	h := newHub(t)
	l := h.newLine(nil)
	const chats = 8
	var mu sync.Mutex
	acked := map[string][]string{} // chat → texts in order
	var ids []string
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for c := range chats {
		wg.Go(func() {
			chat := fmt.Sprint("c", c)
			for i := 0; ctx.Err() == nil; {
				text := fmt.Sprintf("%s says %d", chat, i)
				// A call under way is let to its end: its acknowledgement counts.
				a, err := l.SendText(t.Context(), fmt.Sprintf("%s-%d", chat, i), chat, "u"+chat, text)
				if err != nil || a.Status != http.StatusAccepted {
					// Not acknowledged: the platform tries the same event again.
					pause(ctx, 50*time.Millisecond)
					continue
				}
				mu.Lock()
				acked[chat] = append(acked[chat], text)
				ids = append(ids, a.MessageID)
				mu.Unlock()
				i++
				pause(ctx, 40*time.Millisecond)
			}
		})
	}
	for range 5 {
		pause(ctx, 1500*time.Millisecond)
		h.kill()
		h.start()
	}
	pause(ctx, time.Second)
	stop()
	wg.Wait()
	l.settled(60*time.Second, ids...)
	for chat, texts := range acked {
		require.Equal(t, texts, strings.Split(strings.Join(l.out.Texts(chat), "\n"), "\n"), chat)
	}
	t.Logf("%d messages acknowledged and answered over five kills", len(ids))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Postgres alone is killed under load: the hub says so, goes on with a new
// one, and answers everything it acknowledged once.
func TestKillPostgresUnderLoad(t *testing.T) {
	h := newHub(t)
	l := h.newLine(nil)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := map[string]string{}
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			chat := fmt.Sprint("c", i)
			if a, err := l.SendText(t.Context(), fmt.Sprint("m", i), chat, "u", "text "+chat); err == nil && a.Status == http.StatusAccepted {
				mu.Lock()
				acked[chat] = a.MessageID
				mu.Unlock()
			}
			pause(ctx, 10*time.Millisecond)
		}
	})
	pause(ctx, time.Second)
	require.True(t, h.killPostgres())
	sawDown := false
	require.Eventually(t, func() bool {
		status, body := h.get("/readyz")
		if status == http.StatusServiceUnavailable && strings.Contains(body, "postgres") {
			sawDown = true
		}
		return sawDown && status == http.StatusOK
	}, 60*time.Second, 5*time.Millisecond, "/readyz says that postgres is down, then that all is well")
	pause(ctx, time.Second)
	stop()
	wg.Wait()
	ids := make([]string, 0, len(acked))
	for _, id := range acked {
		ids = append(ids, id)
	}
	l.settled(90*time.Second, ids...)
	for chat := range acked {
		require.Equal(t, []string{"text " + chat}, l.out.Texts(chat))
	}
	t.Logf("%d messages acknowledged and answered once", len(acked))
}

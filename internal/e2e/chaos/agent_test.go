package chaos

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omnihub/omni/internal/e2e/hubtest"
)

// mood is how the agent is now.
type mood int32

const (
	well mood = iota
	slow
	wrong
	dead
)

// agent is an OpenAI-compatible server. Asked something, it answers in two
// parts that name the last thing it was asked, so that every part of every
// reply tells where it belongs.
type agent struct {
	*httptest.Server
	mood  atomic.Int32
	calls atomic.Int64
	bad   atomic.Int64 // calls that were answered wrong or not at all
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	a := &agent{}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

func (a *agent) set(m mood) { a.mood.Store(int32(m)) }

func (a *agent) serve(w http.ResponseWriter, r *http.Request) {
	n := a.calls.Add(1)
	_, texts, err := hubtest.ReadChat(r.Body)
	if err != nil || len(texts) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch mood(a.mood.Load()) {
	case slow:
		select {
		case <-time.After(time.Duration(500+n%6*900) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	case wrong:
		a.bad.Add(1)
		answerWrong(w, n)
		return
	case dead:
		a.bad.Add(1)
		panic(http.ErrAbortHandler) // the connection breaks off
	}
	hubtest.WriteCompletion(w, answerTo(texts[len(texts)-1]))
}

// answerWrong is one of the ways in which a server is ill.
func answerWrong(w http.ResponseWriter, n int64) {
	switch n % 4 {
	case 0:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case 1:
		w.WriteHeader(http.StatusInternalServerError)
	case 2:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"c","choices":[{"index":0,"mess`)
	}
}

func answerTo(asked string) string {
	return fmt.Sprintf("first of %s\n\nrest of %s", asked, asked)
}

// about is the message that a part of a reply answers last: what is behind the
// agent's words, or, of an echo, its last line.
func about(text string) string {
	if _, asked, ok := strings.Cut(text, " of "); ok {
		return asked
	}
	return text[strings.LastIndex(text, "\n")+1:]
}

package steps

import (
	"net/http"
	"testing"
	"time"

	"github.com/omnihub/omni/internal/e2e/hubtest"
)

// llm is an AI service that answers as it is told.
type llm struct {
	*hubtest.LLM
	called <-chan struct{} // one value per call
}

func newLLM(t *testing.T, answer hubtest.Answer) *llm {
	t.Helper()
	l := hubtest.NewLLM(t, answer)
	return &llm{LLM: l, called: l.Called}
}

// agent is the instance's agent object.
func (l *llm) agent(extra object) object { return l.Agent(extra) }

func (l *llm) set(answer hubtest.Answer) { l.Set(answer) }

// calls returns the Idempotency-Key of each call so far.
func (l *llm) calls() []string { return l.Keys() }

// told returns what each call so far was told.
func (l *llm) told() [][]string { return l.Told() }

// says answers with the same text after a while.
func says(text string, after time.Duration) func(*http.Request, []string) (int, string) {
	return func(r *http.Request, _ []string) (int, string) {
		select {
		case <-time.After(after):
		case <-r.Context().Done():
		}
		return http.StatusOK, text
	}
}

// blockedUntil answers once the channel is closed.
func blockedUntil(release <-chan struct{}, text string) func(*http.Request, []string) (int, string) {
	return func(r *http.Request, _ []string) (int, string) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return http.StatusOK, text
	}
}

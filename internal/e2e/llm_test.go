package e2e

import (
	"testing"

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

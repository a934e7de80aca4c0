package omni

import (
	"slices"
	"sync"
	"time"
)

// quickWithin is the bound on the 95th percentile below which a step is quick.
const quickWithin = time.Second

// latencyWindow is how many of the last calls count; with fewer than
// latencyEnough there is no history to speak of.
const (
	latencyWindow = 20
	latencyEnough = 5
)

// Latencies remembers how long the last calls took, by key. It decides whether
// a step may take the quick path. Safe for concurrent use.
type Latencies struct {
	mu   sync.Mutex
	last map[string][]time.Duration
}

// Observe adds a call. Calls that failed count with the time they took, or
// more where they were cut short.
func (l *Latencies) Observe(key string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[string][]time.Duration{}
	}
	calls := append(l.last[key], took)
	if len(calls) > latencyWindow {
		calls = slices.Delete(calls, 0, len(calls)-latencyWindow)
	}
	l.last[key] = calls
}

// Quick reports whether the last calls were quick. Without history they were not.
func (l *Latencies) Quick(key string) bool {
	l.mu.Lock()
	calls := slices.Clone(l.last[key])
	l.mu.Unlock()
	if len(calls) < latencyEnough {
		return false
	}
	return percentile(calls, 95) < quickWithin
}

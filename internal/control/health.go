package control

import (
	"context"
	"sync"
	"time"
)

// Check reports whether one part of the hub works; nil means it does.
type Check struct {
	Name string
	Func func(ctx context.Context) error
}

// Health runs the checks of the parts. Safe for concurrent use.
type Health struct{ checks []Check }

// Readiness is the state of the whole hub.
type Readiness struct {
	Status string       `json:"status" enum:"ready,not_ready" required:"true"`
	Parts  []PartHealth `json:"parts" required:"true" nullable:"false"`
}

// PartHealth is the state of one part.
type PartHealth struct {
	Name       string  `json:"name" required:"true"`
	Status     string  `json:"status" enum:"up,down" required:"true"`
	DurationMs float64 `json:"durationMs" doc:"of the check"`
	Error      string  `json:"error,omitempty"`
}

// checkTimeout is how long a part may take to answer before it counts as down.
const checkTimeout = 2 * time.Second

// NewHealth takes the checks that must all hold before a message that is
// accepted now would be processed.
func NewHealth(checks []Check) *Health { return &Health{checks: checks} }

// Ready runs all checks side by side. Its answer is ready where all hold.
func (h *Health) Ready(ctx context.Context) *Readiness {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out := &Readiness{Status: "ready", Parts: make([]PartHealth, len(h.checks))}
	var wg sync.WaitGroup
	for i, c := range h.checks {
		wg.Go(func() { out.Parts[i] = runCheck(ctx, c) })
	}
	wg.Wait()
	for _, p := range out.Parts {
		if p.Status != "up" {
			out.Status = "not_ready"
		}
	}
	return out
}

// runCheck gives up on a check that ignores its context.
func runCheck(ctx context.Context, c Check) PartHealth {
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- c.Func(ctx) }()
	p := PartHealth{Name: c.Name, Status: "up"}
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		p.Status, p.Error = "down", err.Error()
	}
	p.DurationMs = float64(time.Since(start).Microseconds()) / 1000
	return p
}

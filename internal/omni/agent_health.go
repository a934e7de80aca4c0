package omni

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// AgentCall is one finished call of an agent, as the log tells it.
type AgentCall struct {
	TurnID uuid.UUID
	At     time.Time
	Took   time.Duration // of one that went well
	Error  string        // "": it went well
	Final  bool          // said when the turn was given up: perhaps for the second time
}

// AgentHealth is how an agent did in its last turns.
type AgentHealth struct {
	Status              string     `json:"status" enum:"unknown,ok,failing" doc:"unknown: it was not asked yet"`
	LastOutcome         string     `json:"lastOutcome,omitempty" doc:"ok, or the kind of the last call's error"`
	LastError           string     `json:"lastError,omitempty" doc:"of the last call that failed, whenever that was"`
	LastCallAt          *time.Time `json:"lastCallAt"`
	ConsecutiveFailures int        `json:"consecutiveFailures"`
	Calls               int        `json:"calls" doc:"how many the figures are of"`
	P50Ms               int64      `json:"p50Ms" doc:"of the calls that went well"`
	P95Ms               int64      `json:"p95Ms"`
}

// HealthOf says how the calls (newest first) went. An error that is said a
// second time, when its turn is given up, is one call.
func HealthOf(calls []AgentCall) AgentHealth {
	h := AgentHealth{Status: "unknown"}
	var took []time.Duration
	failing := true
	for i, c := range calls {
		if c.Final && i+1 < len(calls) && calls[i+1].TurnID == c.TurnID && calls[i+1].Error == c.Error {
			continue
		}
		if h.Calls++; h.Calls == 1 {
			at := c.At
			h.LastCallAt, h.LastOutcome, h.Status = &at, "ok", "ok"
			if c.Error != "" {
				h.LastOutcome, h.Status = string(AgentErrorKindOf(c.Error)), "failing"
			}
		}
		if c.Error == "" {
			failing = false
			took = append(took, c.Took)
			continue
		}
		if failing {
			h.ConsecutiveFailures++
		}
		if h.LastError == "" {
			h.LastError = c.Error
		}
	}
	h.P50Ms, h.P95Ms = percentile(took, 50).Milliseconds(), percentile(took, 95).Milliseconds()
	return h
}

// percentile of durations, by nearest rank; 0 of none.
func percentile(of []time.Duration, p int) time.Duration {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[(len(sorted)*p+99)/100-1]
}

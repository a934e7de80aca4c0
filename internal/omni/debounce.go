package omni

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// TypingFor is how long one typing notice says that somebody types: platforms
// repeat it more often than this and show it about as long.
const TypingFor = 5 * time.Second

// TypingMark is a typing notice as it came in.
type TypingMark struct {
	SenderID string    // the platform's; "" where the platform does not say
	Seq      uint64    // its place in the stream
	At       time.Time // when it came in
}

// TypingHold is what a typing notice means for a turn that is about to close.
type TypingHold struct {
	SenderID string `json:"sender"`
	Seq      uint64 `json:"seq"`
	LeftMs   int64  `json:"leftMs"` // how much longer somebody is taken to type
}

// TypingHolds are the notices that still mean something. A clock that is wrong
// makes none of them mean more than a notice that has just come.
func TypingHolds(marks []TypingMark, now time.Time) []TypingHold {
	var holds []TypingHold
	for _, m := range marks {
		if left := min(TypingFor-now.Sub(m.At), TypingFor); left > 0 {
			holds = append(holds, TypingHold{SenderID: m.SenderID, Seq: m.Seq, LeftMs: max(left.Milliseconds(), 1)})
		}
	}
	return holds
}

// Quiet returns how long a chat must stay quiet before the turn that a message
// leads closes, counted from the turn's last message, and the most that it
// waits counted from its first. The draw of mode randomized comes from the
// message's id: the same message gives the same draw, however often the step
// runs, and the turn keeps it.
func Quiet(cfg MessagingConfig, messageID uuid.UUID) (quiet, limit time.Duration) {
	limit = time.Duration(cfg.DebounceMaxWaitMs) * time.Millisecond
	switch cfg.DebounceMode {
	case "fixed":
		quiet = time.Duration(cfg.DebounceMs) * time.Millisecond
	case "randomized":
		lo, span := cfg.DebounceMinMs, cfg.DebounceMaxMs-cfg.DebounceMinMs
		if span > 0 {
			lo += int(binary.BigEndian.Uint64(messageID[8:]) % uint64(span+1))
		}
		quiet = time.Duration(lo) * time.Millisecond
	}
	return max(min(quiet, limit), 0), limit
}

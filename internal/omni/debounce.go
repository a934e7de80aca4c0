package omni

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// Quiet returns how long a chat must stay quiet after a message before its
// turn closes, and the most that a turn waits counted from its first message.
// The draw of mode randomized comes from the message's id: the same message
// gives the same draw, however often the step runs.
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

package omni

import (
	"time"

	"github.com/omnihub/omni/channels"
)

// The modes of MessagingConfig.SplitDelayMode.
const (
	SplitDelayFixed        = "fixed"
	SplitDelayProportional = "proportional"
)

// A part of this many characters takes splitDelayMs in mode proportional.
const (
	proportionalTo = 100
	// What is very short or very long stays within these times of it.
	proportionalSpan = 4
	// splitDelayMost is also the most that splitDelayMs may be.
	splitDelayMost = time.Minute
)

// SplitDelay returns the pause before a part of a reply that follows another:
// always the same, or as long as somebody would take to type it.
func SplitDelay(cfg MessagingConfig, characters int) time.Duration {
	delay := time.Duration(cfg.SplitDelayMs) * time.Millisecond
	if cfg.SplitDelayMode != SplitDelayProportional {
		return delay
	}
	typed := delay * time.Duration(characters) / proportionalTo
	return min(max(typed, delay/proportionalSpan), delay*proportionalSpan, splitDelayMost)
}

// TypingEvery returns how often a typing indicator is shown again so that it
// does not end before the next one.
func TypingEvery(c channels.Capabilities) time.Duration {
	const shown, early = 5, 0.8
	seconds := c.TypingSeconds
	if seconds <= 0 {
		seconds = shown
	}
	return time.Duration(seconds * early * float64(time.Second))
}

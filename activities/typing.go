package activities

import (
	"context"
	"time"
)

// ShowTyping calls show after a while and then every so often, until ctx ends
// or stop is called. stop ends a call under way and waits for it: nothing is
// shown afterwards.
func ShowTyping(ctx context.Context, after, every time.Duration, show func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	wait := Repeat(ctx, after, every, func() { show(ctx) })
	return func() { cancel(); wait() }
}

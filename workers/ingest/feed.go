package ingest

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// feeder makes a channel of a consumer's messages, so that whatever is there
// can be taken at once.
type feeder struct {
	it        jetstream.MessagesContext
	connected func() bool
	unread    func(jetstream.Msg) // what becomes of messages that nobody took
	msgs      chan jetstream.Msg
	end       chan struct{}
	once      sync.Once
	wg        sync.WaitGroup
	err       error // why msgs was closed
}

func feed(it jetstream.MessagesContext, ahead int, connected func() bool, unread func(jetstream.Msg)) *feeder {
	f := &feeder{it: it, connected: connected, unread: unread, msgs: make(chan jetstream.Msg, ahead), end: make(chan struct{})}
	f.wg.Go(func() {
		defer close(f.msgs)
		for {
			msg, err := it.Next()
			if errors.Is(err, jetstream.ErrNoHeartbeat) {
				continue // the server was away; the pull is renewed when it is back
			}
			if err != nil {
				f.err = err
				return
			}
			select {
			case f.msgs <- msg:
			case <-f.end:
				f.unread(msg)
			}
		}
	})
	return f
}

// batch waits for a message and returns it with all that are there, at most limit.
func (f *feeder) batch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	var batch []jetstream.Msg
	select {
	case msg, ok := <-f.msgs:
		if !ok {
			return nil, f.err
		}
		batch = append(batch, msg)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for len(batch) < limit {
		select {
		case msg, ok := <-f.msgs:
			if !ok {
				return batch, nil
			}
			batch = append(batch, msg)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// stop ends the reading and waits for it.
func (f *feeder) stop() {
	f.once.Do(func() { close(f.end) })
	if f.connected() {
		f.it.Drain()
	} else {
		// A subscription that drains while the connection is down comes back
		// with it as one that takes messages and gives them to nobody.
		f.it.Stop()
	}
	f.wg.Wait()
	for msg := range f.msgs {
		f.unread(msg)
	}
}

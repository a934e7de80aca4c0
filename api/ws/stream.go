package ws

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/api/auth"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// Stream is one subscriber: a filter and a position in the log. It belongs to
// one goroutine, which must Close it.
type Stream struct {
	hub    *Hub
	tenant string
	filter omni.EventFilter
	pos    omni.Position
	tokens *tokenQueue // nil: not asked for

	checked time.Time // when the caller's key was last looked at
}

// errIdle says that nothing came for a while.
var errIdle = errors.New("nothing came")

const (
	takeAtOnce = 256
	// What a subscriber reads for itself it also holds for itself while it is
	// slow, and an event may have a megabyte.
	catchUpBatch = 50
	heartbeat    = 15 * time.Second
	recheck      = time.Second // of the caller's key, while there is something to send
)

// Open subscribes the caller. Without since it begins now: whatever is written
// after Open returned is delivered.
func (h *Hub) Open(ctx context.Context, q control.EventQuery) (*Stream, error) {
	who := auth.Caller(ctx)
	since := q.Since
	q.Since = ""
	f, err := q.Filter(who)
	if err != nil {
		return nil, err
	}
	s := &Stream{hub: h, tenant: who.TenantID, filter: f, checked: time.Now()}
	if s.pos, err = omni.ParsePosition(since); err != nil {
		return nil, &control.Error{Kind: control.KindInvalid, Code: control.CodeInvalid, Detail: "since: " + err.Error(),
			Fields: []control.Field{{Field: "since", Message: "must be a position of this log"}}}
	}
	if f.PersonID != uuid.Nil {
		if s.filter.Aliases, err = h.log.PersonAliases(ctx, f.PersonID); err != nil {
			return nil, unavailable(err)
		}
	}
	if err := h.join(ctx, who.TenantID); err != nil {
		return nil, unavailable(err)
	}
	if since == "" {
		if s.pos, err = h.log.LogHead(ctx); err != nil {
			h.leave(who.TenantID)
			return nil, unavailable(err)
		}
	}
	if slices.Contains(f.Types, string(omni.EventAgentStream)) {
		if s.tokens, err = h.tokens.open(who.TenantID, f); err != nil {
			h.leave(who.TenantID)
			return nil, unavailable(err)
		}
	}
	return s, nil
}

func unavailable(err error) error {
	detail := "the event log cannot be read right now"
	if errors.Is(err, ErrTooMany) || errors.Is(err, ErrClosed) {
		detail = err.Error()
	}
	return &control.Error{Kind: control.KindUnavailable, Code: control.CodeUnavailable, Detail: detail, RetryAfter: time.Second}
}

// Close ends the subscription.
func (s *Stream) Close() {
	s.hub.tokens.close(s.tokens)
	s.hub.leave(s.tenant)
}

// allowed looks now and then whether the caller's key is still good, however
// much there is to send.
func (s *Stream) allowed(ctx context.Context) bool {
	if time.Since(s.checked) < recheck {
		return true
	}
	s.checked = time.Now()
	return auth.StillValid(ctx)
}

// next waits for events that pass the filter, or for tokens. errIdle after a heartbeat's time
// without any, ErrClosed when the hub shuts down.
func (s *Stream) next(ctx context.Context) ([]item, error) {
	idle := time.NewTimer(heartbeat)
	defer idle.Stop()
	if said := s.tokens.take(); len(said) > 0 {
		return said, nil
	}
	for {
		items, more, covered := s.hub.after(s.pos, takeAtOnce)
		if !covered {
			var err error
			if items, err = s.catchUp(ctx); err != nil {
				return nil, err
			}
		}
		if len(items) > 0 {
			s.pos = items[len(items)-1].event.Position
			if passed := s.passing(items); len(passed) > 0 {
				return passed, nil
			}
			continue
		}
		if more == nil {
			continue // caught up: memory covers the position now
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.hub.closed:
			return nil, ErrClosed
		case <-idle.C:
			return nil, errIdle
		case <-more:
		case <-s.tokens.waiting():
			if said := s.tokens.take(); len(said) > 0 {
				return said, nil
			}
		}
	}
}

// catchUp reads Postgres from where the subscriber stands, behind what is in
// memory.
func (s *Stream) catchUp(ctx context.Context) ([]item, error) {
	select {
	case <-s.hub.closed:
		return nil, ErrClosed
	default:
	}
	// Before reading: everything up to here can be read by now.
	base := s.hub.begin()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	events, err := s.hub.log.EventsAfter(ctx, s.tenant, s.pos, catchUpBatch)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 && s.pos.Less(base) {
		s.pos = base // nothing of this tenant in between: memory goes on from here
	}
	return encode(events, s.hub.slog), nil
}

func (s *Stream) passing(items []item) []item {
	out := items[:0:0]
	for i := range items {
		if e := &items[i].event; e.TenantID == s.tenant && s.filter.Matches(e) {
			out = append(out, items[i])
		}
	}
	return out
}

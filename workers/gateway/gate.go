package gateway

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

const (
	// gateWait is how long a request may stand at the gate. Who would have to
	// wait longer is sent away with the time of its turn: nobody holds a
	// worker's slot for that long.
	gateWait = 2 * time.Second
	// limitedFor is the wait where a platform names none.
	limitedFor = time.Second
	// bookingKept is how late a request may come back to the turn it was told.
	bookingKept = 5 * time.Second
	// maxBookings bounds the turns kept per instance.
	maxBookings = 10_000
	// gateSweep is how often what is over is forgotten.
	gateSweep = time.Minute
)

// gate paces one instance. It keeps to the rates that the channel's
// capabilities name, so that the platform need not refuse anything, and where
// the platform does, it holds up what the refusal is about: a chat or the
// whole account. It belongs to the host: a session that is replaced does not
// begin anew. Safe for concurrent use.
type gate struct {
	caps channels.Capabilities
	now  func() time.Time

	mu      sync.Mutex
	account pace
	chats   map[string]*pace
	booked  map[string]*pass // by key: sent away until their turn
	swept   time.Time
}

// pace is how fast a chat, or the account, may go.
type pace struct {
	limits []*rate.Limiter
	until  time.Time      // limited by the platform
	asked  channels.Scope // what the platform said of it
	used   time.Time
}

// pass lets one request through, at its time.
type pass struct {
	at    time.Time
	scope channels.Scope // what it waits for
	held  []*rate.Reservation
}

func newGate(caps channels.Capabilities) *gate {
	g := &gate{caps: caps, now: time.Now, chats: map[string]*pace{}, booked: map[string]*pass{}}
	if caps.SendPerSecond > 0 {
		g.account.limits = []*rate.Limiter{perSecond(caps.SendPerSecond)}
	}
	return g
}

// perSecond allows a second's worth at once.
func perSecond(n float64) *rate.Limiter { return rate.NewLimiter(rate.Limit(n), max(1, int(n))) }

// perMinute never allows more than n within any minute: what may go at once
// is taken off the rate.
func perMinute(n int) *rate.Limiter {
	burst := max(1, n/4)
	return rate.NewLimiter(rate.Limit(float64(max(1, n-burst))/60), burst)
}

// pace of a chat. The lock is held.
func (g *gate) pace(chat message.Chat, now time.Time) *pace {
	p := g.chats[chat.ID]
	if p == nil {
		p = &pace{}
		if g.caps.ChatPerSecond > 0 {
			p.limits = append(p.limits, perSecond(g.caps.ChatPerSecond))
		}
		if g.caps.GroupPerMinute > 0 && chat.Type == message.ChatGroup {
			p.limits = append(p.limits, perMinute(g.caps.GroupPerMinute))
		}
		g.chats[chat.ID] = p
	}
	p.used = now
	return p
}

// enter says how long a request has to wait at the gate, or why and until
// when it must not: then it has a booking under its key for when it comes
// back. One that waited asks limited again before it goes on.
func (g *gate) enter(key string, chat message.Chat) (time.Duration, *pass, *channels.SendError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.sweep(now)
	if err := g.limitedAt(chat.ID, now); err != nil {
		return 0, nil, err
	}
	p := g.booking(key, now)
	if p == nil {
		p = g.reserve(g.pace(chat, now), now)
	}
	wait := max(p.at.Sub(now), 0)
	if wait <= gateWait {
		return wait, p, nil
	}
	if key == "" || len(g.booked) >= maxBookings {
		p.giveBack(now)
	} else {
		g.booked[key] = p
	}
	return 0, nil, &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, RetryAfter: wait, Scope: p.scope,
		Reason: fmt.Sprintf("waiting for its turn: the channel's rate limit for one %s is reached", p.scope)}
}

// booking takes the turn that a request was told, if it is still good.
func (g *gate) booking(key string, now time.Time) *pass {
	p := g.booked[key]
	delete(g.booked, key)
	if p == nil || now.Sub(p.at) > bookingKept {
		return nil
	}
	return p
}

func (g *gate) reserve(chat *pace, now time.Time) *pass {
	p := &pass{at: now}
	p.hold(chat, channels.ScopeChat, now)
	p.hold(&g.account, channels.ScopeAccount, now)
	return p
}

func (p *pass) hold(of *pace, scope channels.Scope, now time.Time) {
	for _, l := range of.limits {
		r := l.ReserveN(now, 1)
		p.held = append(p.held, r)
		if at := now.Add(r.DelayFrom(now)); at.After(p.at) {
			p.at, p.scope = at, scope
		}
	}
}

func (p *pass) giveBack(now time.Time) {
	for _, r := range p.held {
		r.CancelAt(now)
	}
}

// leave gives back what a request that was not carried out had reserved.
func (g *gate) leave(p *pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.giveBack(g.now())
}

// withdraw forgets the turn of a request that will not come back.
func (g *gate) withdraw(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.booked[key]; p != nil {
		p.giveBack(g.now())
		delete(g.booked, key)
	}
}

// limited says whether the platform has told this chat, or the account, to
// wait.
func (g *gate) limited(chat string) *channels.SendError {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limitedAt(chat, g.now())
}

func (g *gate) limitedAt(chat string, now time.Time) *channels.SendError {
	left, scope := g.account.until.Sub(now), channels.ScopeAccount
	if p := g.chats[chat]; p != nil && p.until.Sub(now) > left {
		left, scope = p.until.Sub(now), channels.ScopeChat
	}
	if left <= 0 {
		return nil
	}
	return &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, RetryAfter: left, Scope: scope,
		Reason: fmt.Sprintf("the platform has limited this %s", scope)}
}

// told takes the platform's word for who has to wait. Where it does not say
// who, two chats that are limited at once mean the account.
func (g *gate) told(chat message.Chat, err *channels.SendError) {
	if err.Kind != channels.ErrRateLimited {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	until := now.Add(limitedFor)
	if err.RetryAfter > 0 {
		until = now.Add(err.RetryAfter)
	}
	if err.Scope == channels.ScopeUnknown && g.anotherLimited(chat.ID, now) {
		err.Scope = channels.ScopeAccount
	}
	if err.Scope == channels.ScopeAccount {
		g.account.until = later(g.account.until, until)
		return
	}
	p := g.pace(chat, now)
	p.until, p.asked = later(p.until, until), err.Scope
	err.Scope = channels.ScopeChat
}

func (g *gate) anotherLimited(chat string, now time.Time) bool {
	for id, p := range g.chats {
		if id != chat && p.asked == channels.ScopeUnknown && p.until.After(now) {
			return true
		}
	}
	return false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sweep forgets chats that nobody writes to and turns that nobody took.
func (g *gate) sweep(now time.Time) {
	if now.Sub(g.swept) < gateSweep {
		return
	}
	g.swept = now
	for id, p := range g.chats {
		// An idle minute has filled every limiter up again.
		if now.Sub(p.used) > 2*gateSweep && !p.until.After(now) {
			delete(g.chats, id)
		}
	}
	for key, p := range g.booked {
		if now.Sub(p.at) > bookingKept {
			delete(g.booked, key)
		}
	}
}

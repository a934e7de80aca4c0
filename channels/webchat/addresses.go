package webchat

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxAddresses bounds how many addresses are told apart; the others share one.
const maxAddresses = 10_000

// What one address may do, for each new visitor that it may bring in a minute.
// Whoever lets many people come from one address says so there.
const (
	openPerNewChat   = 10 // pages open at once; also opened one after the other without a pause
	writesPerNewChat = 20 // messages without a pause; after that one a second
	fewestOpen       = 100
)

// addresses bounds what visitors of one address do together: tokens cost
// nothing, so whoever they say they are is no bound. Safe for concurrent use.
type addresses struct {
	perMinute int

	mu    sync.Mutex
	from  map[netip.Prefix]*address
	rest  *address // all addresses that there is no room for
	swept time.Time
}

// address is who connects.
type address struct {
	begins *rate.Limiter // chats
	writes *rate.Limiter // messages
	opens  *rate.Limiter // connections
	open   int
}

func newAddresses(newChatsPerMinute int) *addresses {
	a := &addresses{perMinute: newChatsPerMinute, from: map[netip.Prefix]*address{}}
	a.rest = a.fresh()
	return a
}

func (a *addresses) fresh() *address {
	n := a.perMinute
	return &address{begins: rate.NewLimiter(rate.Limit(float64(n)/60), n), writes: rate.NewLimiter(rate.Limit(n), writesPerNewChat*n),
		opens: rate.NewLimiter(rate.Limit(n), a.mostOpen())}
}

func (a *addresses) mostOpen() int { return max(openPerNewChat*a.perMinute, fewestOpen) }

// enter takes a place for a connection from an address ("ip:port"), and reports
// whether there was one. leave must be called when the connection ends.
func (a *addresses) enter(from string, now time.Time) (leave func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.of(from, now)
	if of != a.rest && of.open >= a.mostOpen() || !of.opens.AllowN(now, 1) {
		return nil, false
	}
	of.open++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		of.open--
	}, true
}

// begin uses one of the chats that visitors of an address may begin; else it is
// how long there is none.
func (a *addresses) begin(from string, now time.Time) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return take(a.of(from, now).begins, now)
}

// write uses one of the messages that visitors of an address may write.
func (a *addresses) write(from string, now time.Time) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return take(a.of(from, now).writes, now)
}

func take(l *rate.Limiter, now time.Time) (wait time.Duration) {
	if l.AllowN(now, 1) {
		return 0
	}
	missing := 1 - l.TokensAt(now)
	return max(time.Duration(missing/float64(l.Limit())*float64(time.Second)), time.Millisecond)
}

func (a *addresses) of(from string, now time.Time) *address {
	id := network(from)
	if of, ok := a.from[id]; ok {
		return of
	}
	if now.Sub(a.swept) > time.Minute {
		a.swept = now
		for k, of := range a.from {
			if of.idle(now) {
				delete(a.from, k) // as good as never seen
			}
		}
	}
	if len(a.from) >= maxAddresses {
		return a.rest
	}
	of := a.fresh()
	a.from[id] = of
	return of
}

func (a *address) idle(now time.Time) bool {
	for _, l := range []*rate.Limiter{a.begins, a.writes, a.opens} {
		if l.TokensAt(now) < float64(l.Burst()) {
			return false
		}
	}
	return a.open == 0
}

// network is who an address stands for: in IPv6 a household has 2⁶⁴ of them.
func network(address string) netip.Prefix {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{}
	}
	a := ap.Addr().Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

package webchat

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxAddresses bounds how many addresses are told apart; the others share one.
const maxAddresses = 10_000

// newcomers bounds how many visitors of an address begin a chat. Safe for
// concurrent use.
type newcomers struct {
	perMinute int

	mu    sync.Mutex
	from  map[netip.Prefix]*rate.Limiter
	rest  *rate.Limiter
	swept time.Time
}

func newNewcomers(perMinute int) *newcomers {
	n := &newcomers{perMinute: perMinute, from: map[netip.Prefix]*rate.Limiter{}}
	n.rest = n.limiter()
	return n
}

func (n *newcomers) limiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(n.perMinute)/60), n.perMinute)
}

// take uses a place of an address ("ip:port"); else it is how long there is none.
func (n *newcomers) take(address string, now time.Time) (wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.of(address, now)
	if l.AllowN(now, 1) {
		return 0
	}
	missing := 1 - l.TokensAt(now)
	return max(time.Duration(missing/float64(l.Limit())*float64(time.Second)), time.Millisecond)
}

func (n *newcomers) of(address string, now time.Time) *rate.Limiter {
	id := network(address)
	if l, ok := n.from[id]; ok {
		return l
	}
	if now.Sub(n.swept) > time.Minute {
		n.swept = now
		for k, l := range n.from {
			if l.TokensAt(now) >= float64(n.perMinute) {
				delete(n.from, k) // as good as never seen
			}
		}
	}
	if len(n.from) >= maxAddresses {
		return n.rest
	}
	l := n.limiter()
	n.from[id] = l
	return l
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

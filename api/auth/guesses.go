package auth

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// Guesses bounds how many wrong keys an address may try. Valid keys are not
// slowed by whoever tries others from the same address: one that has been let
// in from there is let in again, and a key of the form that the hub gives out,
// which nobody guesses, is looked up in any case. Only a key that somebody has
// made up (OMNI_API_KEY) must wait, at its first use from an address that is
// guessing. Safe for concurrent use; nil bounds nothing.
type Guesses struct {
	remembers func(key string) bool // found valid just now
	lookups   *rate.Limiter         // of well-formed keys from addresses that guess

	mu    sync.Mutex
	from  map[netip.Prefix]*guesser
	rest  *guesser // all addresses that there is no room for
	swept time.Time
}

// guesser is an address.
type guesser struct {
	budget *rate.Limiter
	used   time.Time
	last   [32]byte // hash of its last wrong key
	right  [32]byte // hash of the last key that was let in and not given out by the hub
}

// A new wrong key costs more than one that is only tried again, as programs
// with an old key do.
const (
	guessBudget  = 1000 // at once
	guessRefill  = 50   // per second
	costNew      = 10
	costRepeated = 1
	maxGuessers  = 10_000
	idleGuesser  = 10 * time.Minute
)

// NewGuesses makes an empty one. remembers reports keys that need no lookup.
func NewGuesses(remembers func(key string) bool) *Guesses {
	return &Guesses{remembers: remembers, lookups: rate.NewLimiter(100, 200), from: map[netip.Prefix]*guesser{}, rest: newGuesser()}
}

func newGuesser() *guesser { return &guesser{budget: rate.NewLimiter(guessRefill, guessBudget)} }

// Wait is how long an address must wait before its key is looked at; 0: not.
func (g *Guesses) Wait(address, key string, now time.Time) time.Duration {
	if g == nil || key == "" {
		return 0
	}
	g.mu.Lock()
	from := g.find(address)
	if from == nil {
		g.mu.Unlock()
		return 0
	}
	missing, right := costNew-from.budget.TokensAt(now), from.right
	g.mu.Unlock()
	switch {
	case missing <= 0:
		return 0
	case !omni.LooksIssued(key):
		if right == [32]byte(omni.HashAPIKey(key)) {
			return 0
		}
	case g.remembers(key) || g.lookups.AllowN(now, 1):
		return 0
	}
	return max(time.Duration(missing/guessRefill*float64(time.Second)), time.Second)
}

// Note remembers what became of a key.
func (g *Guesses) Note(address, key string, err error, now time.Time) {
	if g == nil || key == "" {
		return
	}
	var refused *control.Error
	wrong := errors.As(err, &refused) && refused.Kind == control.KindUnauthorized
	if !wrong && (err != nil || omni.LooksIssued(key)) {
		return
	}
	hash := [32]byte(omni.HashAPIKey(key))
	g.mu.Lock()
	defer g.mu.Unlock()
	from := g.keep(address, now)
	from.used = now
	if !wrong {
		from.right = hash
		return
	}
	cost := costNew
	if from.last == hash {
		cost = costRepeated
	}
	from.last = hash
	if !from.budget.AllowN(now, cost) {
		from.budget.AllowN(now, int(from.budget.TokensAt(now)))
	}
}

// find is an address, nil for one that nothing is known of.
func (g *Guesses) find(address string) *guesser {
	if from, ok := g.from[network(address)]; ok {
		return from
	}
	if len(g.from) >= maxGuessers {
		return g.rest
	}
	return nil
}

// keep is an address that is remembered from now on.
func (g *Guesses) keep(address string, now time.Time) *guesser {
	id := network(address)
	if from, ok := g.from[id]; ok {
		return from
	}
	if now.Sub(g.swept) > idleGuesser || len(g.from) >= maxGuessers && now.Sub(g.swept) > time.Second {
		g.swept = now
		for k, from := range g.from {
			if now.Sub(from.used) > idleGuesser {
				delete(g.from, k) // its budget is full again
			}
		}
	}
	if len(g.from) >= maxGuessers {
		return g.rest
	}
	from := newGuesser()
	g.from[id] = from
	return from
}

// network is who an address stands for: in IPv6 a household has 2⁶⁴ of them.
func network(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

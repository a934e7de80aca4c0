package auth

import (
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"
)

// Limits keeps each key within a rate, by a token bucket in this process. Safe
// for concurrent use.
type Limits struct {
	perSecond rate.Limit
	burst     int

	mu    sync.Mutex
	keys  map[uuid.UUID]*bucket
	swept time.Time
}

type bucket struct {
	limiter *rate.Limiter
	used    time.Time
}

const idleBucket = 10 * time.Minute

// NewLimits allows that many requests per second to each key, and a burst on
// top. perSecond ≤ 0 does not limit.
func NewLimits(perSecond float64, burst int) *Limits {
	return &Limits{perSecond: rate.Limit(perSecond), burst: burst, keys: map[uuid.UUID]*bucket{}}
}

// Take uses one request of a key. 0 means go on; else it is how long to wait.
func (l *Limits) Take(key uuid.UUID, now time.Time) time.Duration {
	if l.perSecond <= 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b, ok := l.keys[key]
	if !ok {
		b = &bucket{limiter: rate.NewLimiter(l.perSecond, l.burst)}
		l.keys[key] = b
	}
	b.used = now
	if b.limiter.AllowN(now, 1) {
		return 0
	}
	missing := 1 - b.limiter.TokensAt(now)
	return max(time.Duration(missing/float64(l.perSecond)*float64(time.Second)), time.Millisecond)
}

// sweep forgets keys that were idle long enough to have a full bucket anyway.
func (l *Limits) sweep(now time.Time) {
	if now.Sub(l.swept) < idleBucket {
		return
	}
	l.swept = now
	for k, b := range l.keys {
		if now.Sub(b.used) > idleBucket {
			delete(l.keys, k)
		}
	}
}

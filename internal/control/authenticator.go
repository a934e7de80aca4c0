package control

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/omnihub/omni/internal/omni"
)

// Authenticator says whose a key is. Answers are remembered for a second, so
// that a request does not cost a query. Safe for concurrent use.
type Authenticator struct {
	store     KeyStore
	bootstrap []byte // hash of OMNI_API_KEY, nil for none
	ttl       time.Duration
	log       *slog.Logger
	reading   singleflight.Group

	mu     sync.Mutex
	valid  map[[32]byte]knownKey
	wrong  map[[32]byte]time.Time // until when it is not asked for again
	forgot uint64                 // counts calls of Forget
}

type knownKey struct {
	key   *omni.APIKey
	until time.Time
}

const (
	// keyTTL is how long a key goes on in other processes after it was ended.
	keyTTL = time.Second
	// Keys remembered. Wrong ones have a memory of their own: a flood of them
	// must not push out the valid ones.
	maxKnown    = 10_000
	touchEvery  = time.Minute
	readTimeout = 5 * time.Second
)

// bootstrapID stands for the key of the configuration, which has no row.
var bootstrapID = uuid.MustParse("00000000-0000-8000-8000-000000000001")

func newAuthenticator(store KeyStore, bootstrapKey string, log *slog.Logger) *Authenticator {
	a := &Authenticator{store: store, ttl: keyTTL, log: log, valid: map[[32]byte]knownKey{}, wrong: map[[32]byte]time.Time{}}
	if bootstrapKey != "" {
		a.bootstrap = omni.HashAPIKey(bootstrapKey)
	}
	return a
}

func (a *Authenticator) hasBootstrap() bool { return a.bootstrap != nil }

// Authenticate returns the caller that a key stands for. An *Error of
// KindUnauthorized refuses it; any other error means that it could not be
// looked up.
func (a *Authenticator) Authenticate(ctx context.Context, key string) (*omni.APIKey, error) {
	if key == "" {
		return nil, unauthorized("an API key is required: Authorization: Bearer <key>, or x-api-key")
	}
	hash := [32]byte(omni.HashAPIKey(key))
	if a.bootstrap != nil && subtle.ConstantTimeCompare(hash[:], a.bootstrap) == 1 {
		return &omni.APIKey{ID: bootstrapID, TenantID: omni.DefaultTenant, Name: "OMNI_API_KEY", Scopes: []string{omni.ScopeAdmin}}, nil
	}
	now := time.Now()
	k, known, forgot := a.remembered(hash, now)
	if !known {
		// Who comes after a key was ended must not share a reading from before.
		name := string(binary.BigEndian.AppendUint64(hash[:], forgot))
		v, err, _ := a.reading.Do(name, func() (any, error) {
			// For everybody who waits: not ended with the request that came first.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
			defer cancel()
			return a.lookup(ctx, hash, forgot)
		})
		if err != nil {
			return nil, err
		}
		k, _ = v.(*omni.APIKey)
	}
	if k == nil || !k.Live(now) {
		return nil, unauthorized("the API key is not valid")
	}
	return k, nil
}

// Remembers reports whether a key has been found valid within the last second.
func (a *Authenticator) Remembers(key string) bool {
	k, known, _ := a.remembered([32]byte(omni.HashAPIKey(key)), time.Now())
	return known && k != nil
}

// remembered is what is known of a key (nil and true: that it is wrong), and
// how often keys have been forgotten.
func (a *Authenticator) remembered(hash [32]byte, now time.Time) (k *omni.APIKey, known bool, forgot uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v, ok := a.valid[hash]; ok && now.Before(v.until) {
		return v.key, true, a.forgot
	}
	until, ok := a.wrong[hash]
	return nil, ok && now.Before(until), a.forgot
}

// Forget drops what is remembered of a key that was ended or rotated.
func (a *Authenticator) Forget(id uuid.UUID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgot++
	for hash, v := range a.valid {
		if v.key.ID == id {
			delete(a.valid, hash)
		}
	}
}

// lookup reads a key and remembers the answer; nil where there is no such key.
func (a *Authenticator) lookup(ctx context.Context, hash [32]byte, forgot uint64) (*omni.APIKey, error) {
	began := time.Now()
	k, err := a.store.APIKeyByHash(ctx, hash[:])
	if err != nil && !errors.Is(err, omni.ErrNotFound) {
		return nil, &Error{
			Kind: KindUnavailable, Code: CodeUnavailable, Detail: "the API key cannot be checked right now",
			RetryAfter: time.Second,
		}
	}
	if err != nil {
		k = nil
	}
	a.remember(hash, k, began.Add(a.ttl), forgot)
	if k != nil && (k.LastUsedAt == nil || time.Since(*k.LastUsedAt) > touchEvery) {
		if err := a.store.TouchAPIKey(ctx, k.ID); err != nil {
			a.log.WarnContext(ctx, "noting the use of an API key", "error", err)
		}
	}
	return k, nil
}

// remember keeps an answer, unless a key was ended while it was being read:
// it may be that one.
func (a *Authenticator) remember(hash [32]byte, k *omni.APIKey, until time.Time, forgot uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k == nil {
		if len(a.wrong) >= maxKnown {
			clear(a.wrong)
		}
		a.wrong[hash] = until
		return
	}
	if a.forgot != forgot {
		return
	}
	if len(a.valid) >= maxKnown {
		clear(a.valid)
	}
	a.valid[hash] = knownKey{key: k, until: until}
}

func unauthorized(detail string) *Error {
	return &Error{Kind: KindUnauthorized, Code: CodeUnauthorized, Detail: detail}
}

package control

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// Authenticator says whose a key is. Answers are remembered for some seconds,
// so that a request does not cost a query. Safe for concurrent use.
type Authenticator struct {
	store     KeyStore
	bootstrap []byte // hash of OMNI_API_KEY, nil for none
	ttl       time.Duration
	log       *slog.Logger

	mu    sync.Mutex
	known map[[32]byte]knownKey
}

type knownKey struct {
	key   *omni.APIKey // nil: there is no such key
	until time.Time
}

const (
	keyTTL     = 5 * time.Second
	maxKnown   = 10_000 // a flood of wrong keys must not fill the memory
	touchEvery = time.Minute
)

// bootstrapID stands for the key of the configuration, which has no row.
var bootstrapID = uuid.MustParse("00000000-0000-8000-8000-000000000001")

func newAuthenticator(store KeyStore, bootstrapKey string, log *slog.Logger) *Authenticator {
	a := &Authenticator{store: store, ttl: keyTTL, log: log, known: map[[32]byte]knownKey{}}
	if bootstrapKey != "" {
		a.bootstrap = omni.HashAPIKey(bootstrapKey)
	}
	return a
}

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
	a.mu.Lock()
	k, ok := a.known[hash]
	a.mu.Unlock()
	if !ok || now.After(k.until) {
		found, err := a.lookup(ctx, hash)
		if err != nil {
			return nil, err
		}
		k = knownKey{key: found, until: now.Add(a.ttl)}
		a.remember(hash, k)
	}
	if k.key == nil || !k.key.Live(now) {
		return nil, unauthorized("the API key is not valid")
	}
	return k.key, nil
}

// Forget drops what is remembered of a key.
func (a *Authenticator) Forget(hash []byte) {
	if len(hash) != 32 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, [32]byte(hash))
}

func (a *Authenticator) lookup(ctx context.Context, hash [32]byte) (*omni.APIKey, error) {
	k, err := a.store.APIKeyByHash(ctx, hash[:])
	if errors.Is(err, omni.ErrNotFound) {
		return nil, nil //nolint:nilnil // no such key is an answer worth remembering
	}
	if err != nil {
		return nil, &Error{
			Kind: KindUnavailable, Code: CodeUnavailable, Detail: "the API key cannot be checked right now",
			RetryAfter: time.Second,
		}
	}
	if k.LastUsedAt == nil || time.Since(*k.LastUsedAt) > touchEvery {
		if err := a.store.TouchAPIKey(ctx, k.ID); err != nil {
			a.log.WarnContext(ctx, "noting the use of an API key", "error", err)
		}
	}
	return k, nil
}

func (a *Authenticator) remember(hash [32]byte, k knownKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnown {
		clear(a.known)
	}
	a.known[hash] = k
}

func unauthorized(detail string) *Error {
	return &Error{Kind: KindUnauthorized, Code: CodeUnauthorized, Detail: detail}
}

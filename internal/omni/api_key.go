package omni

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ScopeAdmin may do everything.
const ScopeAdmin = "admin"

// APIKey is what is kept of a key: never the key itself.
type APIKey struct {
	ID          uuid.UUID   `json:"id" format:"uuid" required:"true"`
	TenantID    string      `json:"tenant" doc:"whose it is" required:"true"`
	Name        string      `json:"name" required:"true"`
	Prefix      string      `json:"prefix" doc:"how the key begins, to recognise it" required:"true"`
	Scopes      []string    `json:"scopes" required:"true"`
	InstanceIDs []uuid.UUID `json:"instanceIds" doc:"null: every instance"`
	ExpiresAt   *time.Time  `json:"expiresAt"`
	LastUsedAt  *time.Time  `json:"lastUsedAt"`
	CreatedAt   time.Time   `json:"createdAt" required:"true"`
}

// Live reports whether the key opens anything at that moment.
func (k *APIKey) Live(now time.Time) bool { return k.ExpiresAt == nil || now.Before(*k.ExpiresAt) }

// Allows reports whether the key has a scope ("messages:read").
func (k *APIKey) Allows(scope string) bool {
	return slices.Contains(k.Scopes, ScopeAdmin) || slices.Contains(k.Scopes, scope)
}

// Sees reports whether the key may touch what belongs to an instance.
func (k *APIKey) Sees(instance uuid.UUID) bool {
	return k.InstanceIDs == nil || slices.Contains(k.InstanceIDs, instance)
}

// keyPrefix begins every key that we give out, so that secret scanners find it.
const keyPrefix = "omni_"

// NewAPIKey draws a key of 160 bits; prefix is what may be shown of it.
func NewAPIKey() (key, prefix string) {
	key = keyPrefix + strings.ToLower(rand.Text()) + strings.ToLower(rand.Text()[:6])
	return key, key[:len(keyPrefix)+6]
}

// LooksIssued reports whether a key has the form of those that NewAPIKey draws:
// nobody guesses one of them.
func LooksIssued(key string) bool {
	random, ok := strings.CutPrefix(key, keyPrefix)
	return ok && len(random) == 32 && strings.Trim(random, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// HashAPIKey is what is stored of a key. The keys are random, so one round of
// SHA-256 is enough: there is nothing to guess.
func HashAPIKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

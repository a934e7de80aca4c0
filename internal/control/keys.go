package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// KeyStore is what the keys' use cases need of the store.
type KeyStore interface {
	CreateAPIKey(ctx context.Context, k omni.APIKey, hash []byte) (*omni.APIKey, error)
	APIKeyByHash(ctx context.Context, hash []byte) (*omni.APIKey, error)
	APIKey(ctx context.Context, tenant string, id uuid.UUID) (*omni.APIKey, error)
	ListAPIKeys(ctx context.Context, tenant string, p omni.Page) ([]omni.APIKey, error)
	RevokeAPIKey(ctx context.Context, tenant string, id uuid.UUID) (hash []byte, err error)
	TouchAPIKey(ctx context.Context, id uuid.UUID) error
	Instance(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// Keys are the use cases around API keys. Safe for concurrent use.
type Keys struct {
	store KeyStore
	auth  *Authenticator
}

// KeyRequest asks for a new key.
type KeyRequest struct {
	Name        string      `json:"name" required:"true" maxLength:"200" doc:"for people"`
	Scopes      []string    `json:"scopes" required:"true" minItems:"1" doc:"<resource>:read, <resource>:write, or admin" example:"[\"messages:read\"]"`
	InstanceIDs []uuid.UUID `json:"instanceIds,omitempty" doc:"absent: every instance"`
	ExpiresAt   *time.Time  `json:"expiresAt,omitempty"`
}

// CreatedKey is a new key, shown this once.
type CreatedKey struct {
	omni.APIKey
	Key string `json:"key" doc:"shown this once" required:"true"`
}

// Resources are the names before ":read" and ":write" in scopes.
func Resources() []string {
	return []string{
		"access", "agents", "chats", "dead-letters", "events", "instances", "keys", "media", "messages",
		"persons", "settings", "webhooks",
	}
}

// Create makes a key. Nobody can give more than they have.
func (s *Keys) Create(ctx context.Context, who *omni.APIKey, req KeyRequest) (*CreatedKey, error) {
	if err := s.check(ctx, who, &req); err != nil {
		return nil, err
	}
	key, prefix := omni.NewAPIKey()
	stored, err := s.store.CreateAPIKey(ctx, omni.APIKey{
		TenantID: who.TenantID, Name: strings.TrimSpace(req.Name),
		Prefix: prefix, Scopes: req.Scopes, InstanceIDs: req.InstanceIDs, ExpiresAt: req.ExpiresAt,
	}, omni.HashAPIKey(key))
	if err != nil {
		return nil, err
	}
	return &CreatedKey{APIKey: *stored, Key: key}, nil
}

// List reads a page of keys, without the keys themselves.
func (s *Keys) List(ctx context.Context, who *omni.APIKey, p Paging) (*List[omni.APIKey], error) {
	page, err := p.page()
	if err != nil {
		return nil, err
	}
	rows, err := s.store.ListAPIKeys(ctx, who.TenantID, page)
	if err != nil {
		return nil, err
	}
	return listOf(p, rows, func(v *omni.APIKey) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID }), nil
}

// Delete ends a key: in this process at once, elsewhere within seconds. A key
// that is not admin cannot end one that has more than it has itself.
func (s *Keys) Delete(ctx context.Context, who *omni.APIKey, id uuid.UUID) error {
	k, err := s.store.APIKey(ctx, who.TenantID, id)
	if err != nil {
		return orNotFound(err, "key")
	}
	if err := mayGive(who, k.Scopes, k.InstanceIDs); err != nil {
		return err
	}
	hash, err := s.store.RevokeAPIKey(ctx, who.TenantID, id)
	if err != nil {
		return orNotFound(err, "key")
	}
	s.auth.Forget(hash)
	return nil
}

func (s *Keys) check(ctx context.Context, who *omni.APIKey, req *KeyRequest) error {
	var c checks
	name := strings.TrimSpace(req.Name)
	if name == "" || len(name) > 200 || strings.ContainsFunc(name, unicode.IsControl) {
		c.add("name", "must have 1 to 200 printable characters")
	}
	if len(req.Scopes) == 0 {
		c.add("scopes", "is required: one at least")
	}
	for i, scope := range req.Scopes {
		if !knownScope(scope) {
			c.add(fmt.Sprintf("scopes[%d]", i), "must be admin, or <resource>:read or :write with one of: "+
				strings.Join(Resources(), ", "))
		}
	}
	if req.InstanceIDs != nil && len(req.InstanceIDs) == 0 {
		c.add("instanceIds", "must name one instance at least, or be absent")
	}
	if req.ExpiresAt != nil && !req.ExpiresAt.After(time.Now()) {
		c.add("expiresAt", "is in the past")
	}
	for i, id := range req.InstanceIDs {
		if _, err := visibleInstance(ctx, s.store, who, id); err != nil {
			c.add(fmt.Sprintf("instanceIds[%d]", i), "is not an instance")
		}
	}
	if err := c.err(); err != nil {
		return err
	}
	if who.ExpiresAt != nil && (req.ExpiresAt == nil || req.ExpiresAt.After(*who.ExpiresAt)) {
		return &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "this key expires, and cannot make one that outlives it"}
	}
	return mayGive(who, req.Scopes, req.InstanceIDs)
}

// mayGive keeps a key from making, or ending, one that is stronger.
func mayGive(who *omni.APIKey, scopes []string, instances []uuid.UUID) error {
	for _, scope := range scopes {
		if !who.Allows(scope) {
			return &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "this key does not have the scope " + scope + " itself"}
		}
	}
	if who.InstanceIDs == nil {
		return nil
	}
	if instances == nil || slices.ContainsFunc(instances, func(id uuid.UUID) bool { return !who.Sees(id) }) {
		return &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "this key does not reach those instances itself"}
	}
	return nil
}

func knownScope(s string) bool {
	if s == omni.ScopeAdmin {
		return true
	}
	resource, verb, ok := strings.Cut(s, ":")
	return ok && (verb == "read" || verb == "write") && slices.Contains(Resources(), resource)
}

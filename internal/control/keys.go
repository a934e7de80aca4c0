package control

import (
	"context"
	"errors"
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
	// APIKeyEver finds revoked keys, too.
	APIKeyEver(ctx context.Context, tenant string, id uuid.UUID) (*omni.APIKey, error)
	ListAPIKeys(ctx context.Context, tenant string, within []uuid.UUID, p omni.Page) ([]omni.APIKey, error)
	// RevokeAPIKey answers omni.ErrLastAdmin where keepAdmin forbids it.
	RevokeAPIKey(ctx context.Context, tenant string, id uuid.UUID, keepAdmin bool) error
	// RotateAPIKey finds the key only while its prefix is the old one.
	RotateAPIKey(ctx context.Context, tenant string, id uuid.UUID, oldPrefix, prefix string, hash []byte) (*omni.APIKey, error)
	TouchAPIKey(ctx context.Context, id uuid.UUID) error
	ListKeyAudit(ctx context.Context, tenant string, key uuid.UUID, p omni.Page) ([]omni.KeyUse, error)
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
	Scopes      []string    `json:"scopes" required:"true" minItems:"1" maxItems:"100" doc:"<resource>:read, <resource>:write, or admin" example:"[\"messages:read\"]"`
	InstanceIDs []uuid.UUID `json:"instanceIds,omitempty" maxItems:"1000" doc:"absent: every instance"`
	ExpiresAt   *time.Time  `json:"expiresAt,omitempty"`
	Tenant      string      `json:"tenant,omitempty" doc:"whose key it will be; absent: the tenant of the key that asks. Only an admin key of tenant default may name another one, which is made if there is none of the name" maxLength:"63"`
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
		"persons", "settings", "turns", "webhooks",
	}
}

// Create makes a key. Nobody can give more than they have.
func (s *Keys) Create(ctx context.Context, who *omni.APIKey, req KeyRequest) (*CreatedKey, error) {
	if err := s.check(ctx, who, &req); err != nil {
		return nil, err
	}
	key, prefix := omni.NewAPIKey()
	stored, err := s.store.CreateAPIKey(ctx, omni.APIKey{
		TenantID: req.Tenant, Name: strings.TrimSpace(req.Name),
		Prefix: prefix, Scopes: req.Scopes, InstanceIDs: req.InstanceIDs, ExpiresAt: req.ExpiresAt,
	}, omni.HashAPIKey(key))
	if err != nil {
		return nil, err
	}
	return &CreatedKey{APIKey: *stored, Key: key}, nil
}

// List reads a page of keys, without the keys themselves.
func (s *Keys) List(ctx context.Context, who *omni.APIKey, p Paging) (*List[omni.APIKey], error) {
	return list(ctx, who, who.InstanceIDs, p, s.store.ListAPIKeys, func(v *omni.APIKey) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

// Delete ends a key: in this process at once, elsewhere within a second. A key
// that is not admin cannot end one that has more than it has itself, and the
// last admin key of a tenant stays.
func (s *Keys) Delete(ctx context.Context, who *omni.APIKey, id uuid.UUID) error {
	k, err := s.visible(ctx, who, id)
	if err != nil {
		return err
	}
	if err := mayGive(who, k.Scopes, k.InstanceIDs); err != nil {
		return err
	}
	// Where the configuration has one, nobody can be locked out.
	keepAdmin := allPowerful(k) && k.Live(time.Now()) && (k.TenantID != omni.DefaultTenant || !s.auth.hasBootstrap())
	err = s.store.RevokeAPIKey(ctx, who.TenantID, id, keepAdmin)
	if errors.Is(err, omni.ErrLastAdmin) {
		return &Error{Kind: KindConflict, Code: CodeLastAdmin,
			Detail: "this is the last admin key of its tenant: make another one first, or rotate it"}
	}
	if err != nil {
		return orNotFound(err, "key")
	}
	s.auth.Forget(id)
	return nil
}

// Rotate gives a key another secret, shown this once. The old one ends as if
// the key were deleted; id, scopes and instances stay.
func (s *Keys) Rotate(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*CreatedKey, error) {
	k, err := s.visible(ctx, who, id)
	if err != nil {
		return nil, err
	}
	// Who rotates a key can use it.
	if err := mayGive(who, k.Scopes, k.InstanceIDs); err != nil {
		return nil, err
	}
	if err := mayOutlive(who, k.ExpiresAt); err != nil {
		return nil, err
	}
	if !k.Live(time.Now()) {
		return nil, &Error{Kind: KindConflict, Code: CodeKeyExpired, Detail: "this key has expired: make another one"}
	}
	key, prefix := omni.NewAPIKey()
	rotated, err := s.store.RotateAPIKey(ctx, who.TenantID, id, k.Prefix, prefix, omni.HashAPIKey(key))
	if errors.Is(err, omni.ErrNotFound) {
		return nil, &Error{Kind: KindConflict, Code: CodeRotated, Detail: "somebody else has rotated or ended this key just now"}
	}
	if err != nil {
		return nil, err
	}
	s.auth.Forget(id)
	return &CreatedKey{APIKey: *rotated, Key: key}, nil
}

// Audit reads a page of what was done with a key, also with one that has been
// deleted since.
func (s *Keys) Audit(ctx context.Context, who *omni.APIKey, id uuid.UUID, p Paging) (*List[omni.KeyUse], error) {
	if id != bootstrapID || !IsOperator(who) { // OMNI_API_KEY has no row
		k, err := s.store.APIKeyEver(ctx, who.TenantID, id)
		if err != nil || !seesKey(who, k) {
			return nil, orNotFound(errors.Join(err, omni.ErrNotFound), "key")
		}
	}
	return list(ctx, who, id, p, s.store.ListKeyAudit, func(v *omni.KeyUse) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

func (s *Keys) visible(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.APIKey, error) {
	k, err := s.store.APIKey(ctx, who.TenantID, id)
	if err == nil && !seesKey(who, k) {
		err = omni.ErrNotFound
	}
	if err != nil {
		return nil, orNotFound(err, "key")
	}
	return k, nil
}

// seesKey hides from a key of some instances those that reach others.
func seesKey(who, k *omni.APIKey) bool {
	if who.InstanceIDs == nil {
		return true
	}
	return k.InstanceIDs != nil && !slices.ContainsFunc(k.InstanceIDs, func(id uuid.UUID) bool { return !who.Sees(id) })
}

// check completes a request and names every field that is wrong.
func (s *Keys) check(ctx context.Context, who *omni.APIKey, req *KeyRequest) error {
	if req.Tenant == "" {
		req.Tenant = who.TenantID
	}
	// Before anything is said about that tenant: also whether it exists.
	if req.Tenant != who.TenantID && !IsOperator(who) {
		return &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "only an admin key of tenant " + omni.DefaultTenant + " makes keys of another tenant"}
	}
	var c checks
	name := strings.TrimSpace(req.Name)
	if name == "" || len(name) > 200 || strings.ContainsFunc(name, unicode.IsControl) {
		c.add("name", "must have 1 to 200 printable characters")
	}
	if !omni.ValidTenantName(req.Tenant) {
		c.add("tenant", "must have 1 to 63 small letters, digits and hyphens, and begin with a letter or digit")
	}
	c.scopes(req.Scopes)
	if req.InstanceIDs != nil && len(req.InstanceIDs) == 0 {
		c.add("instanceIds", "must name one instance at least, or be absent")
	}
	if req.ExpiresAt != nil && !req.ExpiresAt.After(time.Now()) {
		c.add("expiresAt", "is in the past")
	}
	owner := &omni.APIKey{TenantID: req.Tenant, InstanceIDs: who.InstanceIDs}
	for i, id := range req.InstanceIDs {
		_, err := visibleInstance(ctx, s.store, owner, id)
		var unknown *Error
		switch {
		case errors.As(err, &unknown):
			c.add(fmt.Sprintf("instanceIds[%d]", i), "is not an instance")
		case err != nil:
			return err
		}
	}
	if err := c.err(); err != nil {
		return err
	}
	if err := mayOutlive(who, req.ExpiresAt); err != nil {
		return err
	}
	return mayGive(who, req.Scopes, req.InstanceIDs)
}

// longestScope bounds what is compared with every scope there is.
const longestScope = 64

func (c *checks) scopes(scopes []string) {
	if len(scopes) == 0 {
		c.add("scopes", "is required: one at least")
	}
	for i, scope := range scopes {
		if KnownScope(scope) {
			continue
		}
		meant := ""
		if scope != "" && len(scope) <= longestScope {
			meant = "did you mean " + omni.Nearest(scope, Scopes()) + "? Scopes are "
		}
		c.add(fmt.Sprintf("scopes[%d]", i), "is not a scope: "+meant+"admin, and <resource>:read or :write with one of: "+
			strings.Join(Resources(), ", "))
	}
}

// mayOutlive keeps a key from making, or reviving, one that lasts longer.
func mayOutlive(who *omni.APIKey, until *time.Time) error {
	if who.ExpiresAt != nil && (until == nil || until.After(*who.ExpiresAt)) {
		return &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "this key expires, and cannot make one that outlives it"}
	}
	return nil
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

// KnownScope reports whether a key may have the scope.
func KnownScope(s string) bool { return slices.Contains(Scopes(), s) }

// Scopes are all that a key may have.
func Scopes() []string {
	all := []string{omni.ScopeAdmin}
	for _, r := range Resources() {
		all = append(all, r+":read", r+":write")
	}
	return all
}

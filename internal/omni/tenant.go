package omni

import (
	"regexp"
	"time"

	"github.com/google/uuid"
)

// Tenant is one of those who share a hub.
type Tenant struct {
	ID        uuid.UUID `json:"-"`
	Name      string    `json:"name" doc:"also the tenantid of its events" required:"true"`
	CreatedAt time.Time `json:"createdAt" required:"true"`
}

// tenantName is what may stand in a subject and in a workflow's id.
var tenantName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ValidTenantName reports whether a tenant may have that name.
func ValidTenantName(s string) bool { return tenantName.MatchString(s) }

// KeyUse is one request that could have changed something, as it is kept to
// tell who did what.
type KeyUse struct {
	ID        uuid.UUID `json:"id" format:"uuid" required:"true"`
	TenantID  string    `json:"-"`
	KeyID     uuid.UUID `json:"-"`
	Method    string    `json:"method" required:"true"`
	Route     string    `json:"route" doc:"with {id}s, as in this document" required:"true"`
	Path      string    `json:"path" doc:"as it was called, without the query" required:"true"`
	Status    int       `json:"status" doc:"of the answer" required:"true"`
	RequestID string    `json:"requestId" required:"true"`
	Address   string    `json:"address" doc:"who called"`
	CreatedAt time.Time `json:"createdAt" required:"true"`
}

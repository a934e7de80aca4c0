package omni

import "errors"

// ErrNotFound says that no such object exists for this tenant. The store
// returns it, the use cases turn it into 404.
var ErrNotFound = errors.New("not found")

// ErrUnstorable says that a text holds what the database takes nowhere: NUL, or
// broken UTF-8.
var ErrUnstorable = errors.New("a text holds NUL or broken UTF-8")

// ErrLastAdmin says that a tenant would be left without a key that may do
// everything.
var ErrLastAdmin = errors.New("the tenant's last admin key")

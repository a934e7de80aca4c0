package omni

import "errors"

// ErrNotFound says that no such object exists for this tenant. The store
// returns it, the use cases turn it into 404.
var ErrNotFound = errors.New("not found")

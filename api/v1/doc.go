// Package v1 is the REST API: each operation's types, path and scope, and
// nothing else. The decisions are in internal/control; huma makes validation
// and the OpenAPI document of the types.
package v1

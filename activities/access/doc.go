// Package access is step access.Check: may they talk to us?
package access

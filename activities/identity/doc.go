// Package identity is step identity.Resolve: who sent this?
package identity

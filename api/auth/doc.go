// Package auth lets requests in: it finds the caller's key, refuses everything
// without one before anything else is looked at, keeps each key within its
// rate, and hands the caller on in the context.
package auth

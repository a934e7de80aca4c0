// Package freeport chooses TCP ports for the parts of the embedded stack that
// nobody has chosen one for.
package freeport

// Package e2e drives the product from outside: the real binary with its
// embedded stack, real HTTP, real signals. Each promise of the README has a
// test here that kills something.
package e2e

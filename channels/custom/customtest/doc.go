// Package customtest is the other end of the custom channel for tests and the
// benchmark: a Client that signs and sends events, and a Receiver that takes
// callbacks, verifies them, keeps a journal and can be told to misbehave.
//
// It signs with code of its own, so that a mistake in the channel's signature
// does not cancel itself out.
package customtest

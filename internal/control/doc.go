// Package control holds the use cases that REST, MCP, CLI and dashboard share:
// creating instances, sending messages, reading what happened. It decides who
// may see what, validates, and speaks in typed errors; HTTP is none of its
// business, and store, bus and engine come in through the small interfaces
// declared beside each use case.
//
// Every function takes the caller's API key. What belongs to another tenant,
// or to an instance that the key may not see, does not exist for it.
package control

// Package channels is the edge: the contract a platform's package fulfils to
// become an Omni channel, and the registry of those that ship in a binary.
//
// A channel is small. It must describe itself (Info) and open sessions (New);
// a session must start, stop and send. Everything else is an optional
// interface found by type assertion: WebhookReceiver, PageServer, Typer,
// Editor, Deleter, Reactor, ReadMarker. What a channel can do is also data
// (Capabilities), and channeltest checks that data and interfaces agree.
//
// Channel packages import this package and channels/message, nothing else of
// Omni's: their HTTP client, key-value store and live fan-out are handed in,
// so a third party can write one in a module of its own.
package channels

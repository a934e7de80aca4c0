// Package ws is the live end of the event log: WebSocket and server-sent
// events, resumable by position, without gap or duplicate.
//
// Every process has one Hub. It keeps the newest piece of the log in memory,
// reading Postgres once for all subscribers whenever somebody says that there
// is more. A subscriber is a position in the log: while the piece covers it,
// it is served from memory; when it falls behind, it reads Postgres itself
// until it has caught up. So a slow consumer costs nobody else anything, and
// memory is bounded by the piece.
//
// Beside the log there are the pieces of answers that agents are just saying
// (omni.AgentStream), for subscribers that ask for them. They have no position
// and are not kept: who reads too slowly misses some, and sees that it did.
package ws

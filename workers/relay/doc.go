// Package relay brings the event log from Postgres to NATS: each event, as a
// CloudEvent, to the JetStream stream of its type, and in batches, live, to
// whoever tails the log right now. It reads in log order and keeps its place
// in Postgres; what it publishes again after a crash is dropped by event id.
package relay

// Package relay brings the event log from Postgres to NATS: each event, as a
// CloudEvent, to the JetStream stream of its type; and it wakes whoever follows
// the log live. It reads in log order and keeps its place in Postgres; what it
// publishes again after a crash is dropped by event id.
package relay

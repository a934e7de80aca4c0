// Package bus is Omni's NATS: every stream, subject, consumer and key-value
// bucket (declared in streams.go), publishing and reading events, the client
// of the channel services, and the small notifications between processes.
package bus

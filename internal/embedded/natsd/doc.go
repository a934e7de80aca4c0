// Package natsd runs a NATS server with JetStream in this process, with every
// write synced before it is acknowledged: what the gateway tells a platform it
// has received must survive the machine.
package natsd

// Package gateway hosts channel sessions. Gateways of any number of processes
// compete for leases on instances; the one that holds an instance's lease runs
// its session and serves it on NATS (channels.Subject), so that whoever sends
// need not know where that is. What comes in goes to stream CHANNEL before the
// platform is acknowledged. Hooks is the other edge: platforms that call us,
// received on any process, without a session.
package gateway

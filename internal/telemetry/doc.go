// Package telemetry is what lets a person see the hub at work: one logger
// whose lines carry the trace, chat and message they speak of, one tracer
// whose spans follow a message from the webhook to the last bubble, and the
// instruments that Prometheus reads at /metrics.
//
// Nothing here is global. Setup makes a Telemetry, main hands its parts to
// whoever needs them, and Shutdown flushes what is still buffered. What a
// request is about travels in its context (With, WithTraceparent), so that a
// function deep inside logs the right ids without knowing them.
package telemetry

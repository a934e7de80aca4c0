// Command bench measures the hub on its embedded stack, in one process, so
// that processor time can be told per message.
//
// Four workloads, interleaved so that a machine that changes its speed changes
// it for all of them:
//
//	floor     workflows.Message with activities that do nothing, started as
//	          the hub starts it: what Temporal alone costs
//	echo      the whole pipeline, webhook to send, with an agent that answers
//	          at once
//	slow      the same with an agent that takes three seconds
//	ingest    an instance without an agent: webhook, durable, row in Postgres
//
// The channel is the custom channel's twin: its webhook is the custom
// channel's own, its send returns at once.
package main

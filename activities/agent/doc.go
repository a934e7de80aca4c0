// Package agent is step agent.Reply: it asks the instance's agent, splits the
// answer into parts as the channel needs them and stores both; and step
// agent.GiveUp, for when asking has failed for good.
//
// Calls of agents are at-least-once: each carries the turn's id as its
// idempotency key, and the first stored answer wins. Who may store it is
// decided by the turn's row, so a call that outlives its turn costs money but
// never a second reply.
package agent

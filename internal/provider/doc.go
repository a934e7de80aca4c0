// Package provider calls the AI services that answer: one file per kind of
// service, each a function from omni.AgentRequest to omni.AgentReply.
//
// A provider makes exactly one attempt: retries, timeouts and the choice of
// what an error means for the turn belong to the pipeline. It fails with
// *omni.AgentError, from which every secret has been removed, and ends with
// its context: the service sees the connection close.
package provider

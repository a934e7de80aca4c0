// Package durable is Omni's side of Temporal: the client with its
// interceptors, how workflows are started, and the defaults of workers.
package durable

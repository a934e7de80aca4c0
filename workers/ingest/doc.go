// Package ingest takes what arrived on stream CHANNEL further: the Recorder
// writes it to Postgres in batches, the Starter begins a workflow for each
// message. Neither waits for the other.
package ingest

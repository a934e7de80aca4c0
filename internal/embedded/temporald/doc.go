// Package temporald runs a whole Temporal server in this process: frontend,
// history, matching and worker services, persisting to Postgres, and its web
// UI. It is for one hub on one machine; production points TEMPORAL_ADDRESS at
// a cluster.
package temporald

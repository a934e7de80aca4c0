// Package api is the front door: the HTTP server, what every request passes
// (id, trace, log, key, rate), and the mounting of the REST operations (v1),
// the live log (ws), webhooks and pages (hooks), health and documentation.
package api

// Package embedded is the one-command stack behind omni up: Postgres as a
// supervised child, NATS and Temporal in this process, Temporal's web UI. A
// part whose environment variable is set stays outside. Built with -tags slim
// there is no stack, and Start says so.
package embedded

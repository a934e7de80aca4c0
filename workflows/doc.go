// Package workflows is the spine: the whole life of a message, as
// deterministic Temporal workflows. No clock, randomness, I/O or goroutine of
// Go's own may appear here: three nets guard it (workflowcheck, depguard,
// replay of recorded histories).
package workflows

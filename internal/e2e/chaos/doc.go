// Package chaos lets everything go wrong at once under load: processes are
// killed, the agent is slow, wrong or dead, the platform refuses, repeats and
// mixes up. What is left when it is quiet again must be what the pipeline
// promises. The order of troubles comes from a seed that is printed.
//
//	go test ./internal/e2e/chaos              the short form, under a minute
//	go test ./internal/e2e/chaos -minutes 30  as long as one wants
//	go test ./internal/e2e/chaos -seed 42     the same order of troubles again
package chaos

// Package steps kills, blocks and looks into the hub between the steps of the
// pipeline. Its tests run the hub as omni up does, with something between the
// steps and the world: in a child process where it is killed, in their own
// where it is watched. Postgres and Temporal are shared and outlive the kills.
package steps

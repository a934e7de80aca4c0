// Package postgresd runs Postgres as a child process: it finds the binaries,
// makes the cluster, drops root privileges, supervises the server, and takes
// over what an earlier, killed parent left behind.
//
// Cluster is the low level (binaries, folders, command lines), shared with
// test helpers. Server is a supervised Cluster, a lifecycle service.
package postgresd

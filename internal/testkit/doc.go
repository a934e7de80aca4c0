// Package testkit gives tests real infrastructure, fresh for each test:
//
//	url := testkit.Postgres(t) // a migrated database of its own
//	nc := testkit.NATS(t)      // a JetStream server of its own
//
// The Postgres server behind it is shared by all test processes of a user on a
// machine: the first one starts it, a reaper stops it and removes its folder
// once none has needed it for a while. It must never be imported by non-test code.
package testkit

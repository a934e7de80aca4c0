// Package message is the normalised language every room of Omni speaks: what
// a person did on a platform (Inbound), what Omni wants done there (Outbound)
// and what came of it (Receipt).
//
// The package imports the standard library only, and its JSON shapes are part
// of the outside contract: they travel on NATS, over the custom channel's
// webhooks and in the event log. Fields are added, never renamed.
package message

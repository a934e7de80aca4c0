// Package deliver is step deliver.Send: the parts of a reply, or a message
// sent by API, handed to the gateway one by one. Each part is claimed and
// committed before it leaves and receipted after; the rows decide, so a retry
// by whoever never repeats a part that arrived.
package deliver

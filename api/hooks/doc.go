// Package hooks is the door for platforms and for people on a channel's page:
// /webhook/{channel}/{instanceId} and /chat/{instanceId}. It asks for no key,
// reads no body but to hand its raw bytes on, and is kept short: a thousand
// webhooks a second pass through it.
package hooks

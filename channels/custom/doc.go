// Package custom is the channel for everything that has no channel of its own:
// any program becomes one over HTTP.
//
// What happened on the program's platform comes in as a signed POST to
// /webhook/custom/{instanceId}; what Omni wants said goes out as a signed POST
// to channelConfig.callbackUrl. Both ways follow Standard Webhooks (headers
// webhook-id, webhook-timestamp, webhook-signature; HMAC-SHA256 over
// "id.timestamp.body").
//
// Limits of what comes in: a text of 256 KiB, 32 attachments, 512 bytes for
// each id, 768 KiB for the whole event. More is refused with 413, never cut.
package custom

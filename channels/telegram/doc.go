// Package telegram is the channel for Telegram bots (Bot API).
//
// Calls and types are go-telegram/bot's. Receiving is our own, because an
// update is confirmed to Telegram only after it is stored: the poller asks for
// the next offset after Publish returned, and the webhook answers 200 after it.
//
// Ids: a chat is Telegram's chat id, with "/<topic>" in a forum topic; a
// message is "<chat id>:<message id>", which is unique within the bot. Edits
// and reactions add the update's id, so that two within one second are two.
//
// A send is not idempotent: Telegram takes no client id. A request that broke
// off after it was written has an unknown outcome.
//
// Reactions reach a bot in groups only where it is an administrator. That
// somebody types reaches no bot at all: here only messages extend a debounce.
package telegram

// Package telegramtest is a Bot API server for tests: the methods that a chat
// bot uses, with Telegram's own rules for offsets, webhooks, parse modes,
// lengths and errors. It takes JSON, forms and multipart, as Telegram does.
//
// A test plays the people (Say, Push), reads what the bot did (Sent, Calls) and
// makes the server misbehave (Fault). An unknown method is answered like
// Telegram answers it and kept in Violations, for a test to fail on. The same
// is to be had over HTTP below /control/, for tests in other processes.
//
// It is checked against a third party's client: see TestGrammY.
package telegramtest

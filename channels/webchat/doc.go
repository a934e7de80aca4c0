// Package webchat is the chat page that Omni serves itself, at
// /chat/{instanceId}, over a WebSocket at /chat/{instanceId}/ws.
//
// Who visits is known by a secret token that the page makes and keeps in the
// browser. Chat and sender ids are a hash of it, so the token can be used to
// come back, and an id that is seen elsewhere cannot.
//
// What a visitor writes carries an id made by the page. It is acknowledged
// only after it is stored, and sent again until then; the same id is stored
// once. What Omni says is broadcast to the pages that are open, and is in the
// history for those that are not: a page that connects first listens, then
// reads what it missed, then goes on live, and shows each id once.
//
// Frames are JSON objects with a "type". From the page: hello {visitor, since},
// message {id, text}, typing. To the page: history {messages}, ready, message
// {message}, edit {message}, delete {id}, typing, ack {id, messageId},
// error {id?, code, detail, retryAfterMs?}.
package webchat

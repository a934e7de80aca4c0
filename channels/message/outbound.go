package message

import "time"

// Part places one bubble in a reply: Index counts from 0.
type Part struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

// Outbound is one thing Omni wants done on a platform: a bubble sent, a
// message edited or deleted, a reaction, a typing indicator.
//
// Key is the idempotency key: the same Key is the same intent, however often
// it is handed over. ID is Omni's id of the outbound message.
type Outbound struct {
	ID       string  `json:"id"`
	Key      string  `json:"idempotencyKey"`
	Kind     Kind    `json:"kind"`
	Chat     Chat    `json:"chat"`
	Content  Content `json:"content"`
	Part     Part    `json:"part"`
	ReplyTo  string  `json:"replyTo,omitempty"`  // the platform's id
	TargetID string  `json:"targetId,omitempty"` // edit, delete, reaction: the platform's id
}

// Receipt is the platform's word that it took an Outbound.
type Receipt struct {
	ExternalID string    `json:"externalId"`
	At         time.Time `json:"at"`
}

package provider

import (
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// turnBody is a turn as it is posted to a webhook agent, and what templates
// of custom agents pick from. What people said, and what they call themselves,
// has fields of its own.
type turnBody struct {
	TurnID       uuid.UUID         `json:"turnId"`
	Instance     turnInstance      `json:"instance"`
	Chat         turnChat          `json:"chat"`
	Person       *omni.AgentPerson `json:"person"` // null: nobody in particular
	Sender       omni.AgentSender  `json:"sender"`
	Session      string            `json:"session"`
	Model        string            `json:"model,omitempty"`
	SystemPrompt string            `json:"systemPrompt,omitempty"`
	Messages     []turnMessage     `json:"messages"`
	History      []pastMessage     `json:"history"`
}

type turnInstance struct {
	ID      uuid.UUID `json:"id"`
	Name    string    `json:"name"`
	Channel string    `json:"channel"`
}

type turnChat struct {
	ID         uuid.UUID        `json:"id"`
	ExternalID string           `json:"externalId"` // the platform's own
	Type       message.ChatType `json:"type"`
	Name       string           `json:"name"`
}

// turnMessage is one message of the batch.
type turnMessage struct {
	ID         uuid.UUID            `json:"id"`
	Kind       message.Kind         `json:"kind"` // message or reaction
	Text       string               `json:"text"`
	Content    message.Content      `json:"content"`
	Sender     omni.AgentSender     `json:"sender"`
	PersonID   uuid.NullUUID        `json:"personId"`
	ExternalID string               `json:"externalId"`
	SentAt     *time.Time           `json:"sentAt"`
	Target     *omni.ReactionTarget `json:"target,omitempty"` // of a reaction: our message
	ReplyTo    *omni.QuotedMessage  `json:"replyTo,omitempty"`
}

// pastMessage is one message of the history.
type pastMessage struct {
	Role       string          `json:"role"` // user, or assistant for what the account wrote
	SenderName string          `json:"senderName"`
	Text       string          `json:"text"`
	Content    message.Content `json:"content"`
	At         time.Time       `json:"at"`
	Uncertain  bool            `json:"uncertain,omitempty"` // of the account's: nobody knows whether it arrived

	Kind    message.Kind         `json:"kind,omitempty"` // reaction; else it is a message
	Target  *omni.ReactionTarget `json:"target,omitempty"`
	ReplyTo *omni.QuotedMessage  `json:"replyTo,omitempty"`
}

func newTurnBody(req omni.AgentRequest) turnBody {
	b := turnBody{TurnID: req.TurnID, Instance: turnInstance{req.InstanceID, req.Instance, req.Channel},
		Chat:   turnChat{ID: req.ChatID, ExternalID: req.Chat.ID, Type: req.Chat.Type, Name: req.Chat.Name},
		Sender: req.Sender, Session: req.SessionKey, Model: req.Config.Model, SystemPrompt: req.Config.SystemPrompt,
		Messages: make([]turnMessage, len(req.Messages)), History: make([]pastMessage, len(req.History))}
	if req.Person.ID.Valid {
		b.Person = &req.Person
	}
	for i, m := range req.Messages {
		kind := m.Kind
		if kind == "" {
			kind = message.KindMessage
		}
		b.Messages[i] = turnMessage{ID: m.ID, Kind: kind, Text: m.Text, Content: m.Content, PersonID: m.PersonID, SentAt: m.SentAt,
			Sender: omni.AgentSender{ID: m.SenderID, Name: m.SenderName}, ExternalID: m.ExternalID, Target: m.Target, ReplyTo: m.ReplyTo}
	}
	for i, m := range req.History {
		role := "user"
		if m.FromAgent {
			role = "assistant"
		}
		b.History[i] = pastMessage{Role: role, SenderName: m.SenderName, Text: m.Text, Content: m.Content, At: m.At,
			Uncertain: m.Uncertain, Kind: m.Kind, Target: m.Target, ReplyTo: m.ReplyTo}
	}
	return b
}

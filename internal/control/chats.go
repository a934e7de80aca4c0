package control

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// ChatStore is what the chats' use cases need of the store.
type ChatStore interface {
	Chat(ctx context.Context, tenant string, id uuid.UUID) (*omni.Chat, error)
	ListChats(ctx context.Context, tenant string, f omni.ChatFilter, p omni.Page) ([]omni.Chat, error)
	// TakeoverChat pauses the chat and returns the turns that it cancelled.
	TakeoverChat(ctx context.Context, id uuid.UUID, t omni.Takeover) ([]uuid.UUID, error)
	ResumeChat(ctx context.Context, id uuid.UUID, by string) error
	// ResetChat begins the agent's session anew.
	ResetChat(ctx context.Context, id uuid.UUID, by string) error
}

// Chats are the use cases around chats. Safe for concurrent use.
type Chats struct {
	store    ChatStore
	messages *Messages
	announce Announcer
	log      *slog.Logger
}

// Get reads one chat.
func (c *Chats) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Chat, error) {
	chat, err := c.store.Chat(ctx, who.TenantID, id)
	if err == nil && !who.Sees(chat.InstanceID) {
		err = omni.ErrNotFound
	}
	if err != nil {
		return nil, orNotFound(err, "chat")
	}
	return chat, nil
}

// List reads a page of chats.
func (c *Chats) List(ctx context.Context, who *omni.APIKey, f omni.ChatFilter, p Paging) (*List[omni.Chat], error) {
	f.Within = who.InstanceIDs
	return list(ctx, who, f, p, c.store.ListChats, func(v *omni.Chat) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

// Messages reads a page of one chat's messages.
func (c *Chats) Messages(ctx context.Context, who *omni.APIKey, id uuid.UUID, p Paging) (*List[omni.Message], error) {
	if _, err := c.Get(ctx, who, id); err != nil {
		return nil, err
	}
	return c.messages.List(ctx, who, omni.MessageFilter{ChatID: id}, p)
}

// maxTakeover bounds a takeover that ends by itself.
const maxTakeover = 365 * 24 * time.Hour

// Takeover silences the agent in a chat for that long (0: until resumed) and
// cancels the answer that is being made. reason is for people, "" for none.
func (c *Chats) Takeover(ctx context.Context, who *omni.APIKey, id uuid.UUID, atMost time.Duration, reason string) (*omni.Chat, error) {
	if _, err := c.Get(ctx, who, id); err != nil {
		return nil, err
	}
	if atMost < 0 || atMost > maxTakeover {
		return nil, invalid("untilSeconds", "must be between 1 and 31536000, or absent")
	}
	var until *time.Time
	if atMost > 0 {
		at := time.Now().UTC().Add(atMost)
		until = &at
	}
	if reason = omni.CleanText(reason); reason == "" {
		reason = "by call"
	}
	turns, err := c.store.TakeoverChat(ctx, id, omni.Takeover{Until: until, Reason: reason, By: who.Name})
	if err != nil {
		return nil, orNotFound(err, "chat")
	}
	for _, turn := range turns {
		// The row has decided; this only hurries whoever makes the call.
		if err := c.cancel(ctx, turn); err != nil {
			c.log.WarnContext(ctx, "hurrying a cancelled turn", "turn_id", turn, "error", err)
		}
	}
	return c.Get(ctx, who, id)
}

// Resume lets the agent answer again.
func (c *Chats) Resume(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Chat, error) {
	if _, err := c.Get(ctx, who, id); err != nil {
		return nil, err
	}
	if err := c.store.ResumeChat(ctx, id, who.Name); err != nil {
		return nil, orNotFound(err, "chat")
	}
	return c.Get(ctx, who, id)
}

// Reset begins the conversation with the agent anew: what was said before is no
// longer told to it. What is being answered is still answered.
func (c *Chats) Reset(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Chat, error) {
	if _, err := c.Get(ctx, who, id); err != nil {
		return nil, err
	}
	if err := c.store.ResetChat(ctx, id, "api"); err != nil {
		return nil, orNotFound(err, "chat")
	}
	return c.Get(ctx, who, id)
}

func (c *Chats) cancel(ctx context.Context, turn uuid.UUID) error {
	if c.announce == nil {
		return nil
	}
	return c.announce.PublishCancel(ctx, turn)
}

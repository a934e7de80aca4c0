package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// ChatStore is what the chats' use cases need of the store.
type ChatStore interface {
	Chat(ctx context.Context, tenant string, id uuid.UUID) (*omni.Chat, error)
	ListChats(ctx context.Context, tenant string, f omni.ChatFilter, p omni.Page) ([]omni.Chat, error)
}

// Chats are the use cases around chats. Safe for concurrent use.
type Chats struct {
	store    ChatStore
	messages *Messages
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
	page, err := p.page()
	if err != nil {
		return nil, err
	}
	f.Within = who.InstanceIDs
	rows, err := c.store.ListChats(ctx, who.TenantID, f, page)
	if err != nil {
		return nil, err
	}
	return listOf(p, rows, func(v *omni.Chat) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID }), nil
}

// Messages reads a page of one chat's messages.
func (c *Chats) Messages(ctx context.Context, who *omni.APIKey, id uuid.UUID, p Paging) (*List[omni.Message], error) {
	if _, err := c.Get(ctx, who, id); err != nil {
		return nil, err
	}
	return c.messages.List(ctx, who, omni.MessageFilter{ChatID: id}, p)
}

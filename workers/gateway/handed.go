package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
)

// maxKeyBytes bounds the keys that a channel may choose.
const maxKeyBytes = 512

var (
	_ channels.KV      = (*instanceKV)(nil)
	_ channels.Live    = (*instanceLive)(nil)
	_ channels.History = (*instanceHistory)(nil)

	_ channels.Presence = (*instancePresence)(nil)
)

// instanceKV is a channel's durable state for one instance.
type instanceKV struct {
	store    EdgeStore
	tenant   string
	instance uuid.UUID
	lease    *lease // nil: not bound to one
}

// Get implements channels.KV.
func (k *instanceKV) Get(ctx context.Context, key string) ([]byte, error) {
	return k.store.ChannelValue(ctx, k.instance, key)
}

// Put implements channels.KV. A session that lost its lease must not overwrite
// what its successor keeps.
func (k *instanceKV) Put(ctx context.Context, key string, value []byte) error {
	if err := k.writable(key); err != nil {
		return err
	}
	return k.store.PutChannelValue(ctx, k.tenant, k.instance, key, value)
}

// Delete implements channels.KV.
func (k *instanceKV) Delete(ctx context.Context, key string) error {
	if err := k.writable(key); err != nil {
		return err
	}
	return k.store.DeleteChannelValue(ctx, k.instance, key)
}

func (k *instanceKV) writable(key string) error {
	if k.lease != nil && !k.lease.valid() {
		return fmt.Errorf("keeping a channel's value: %w", errLost)
	}
	if key == "" || len(key) > maxKeyBytes {
		return errors.New("keeping a channel's value: the key is empty or too long")
	}
	return nil
}

// instanceLive is a channel's fan-out for one instance.
type instanceLive struct {
	bus      *bus.Bus
	instance string
}

// Broadcast implements channels.Live.
func (l *instanceLive) Broadcast(ctx context.Context, topic string, data []byte) error {
	return l.bus.Broadcast(ctx, l.instance, topic, data)
}

// Listen implements channels.Live.
func (l *instanceLive) Listen(topic string, fn func(data []byte)) (stop func(), err error) {
	return l.bus.Listen(l.instance, topic, fn)
}

// instanceHistory reads one instance's chats.
type instanceHistory struct {
	store    EdgeStore
	instance uuid.UUID
}

const maxHistory = 200

// Since implements channels.History.
func (h *instanceHistory) Since(ctx context.Context, chatID, afterMessageID string, limit int) ([]channels.HistoryItem, error) {
	after := uuid.Nil
	if afterMessageID != "" {
		var err error
		if after, err = uuid.Parse(afterMessageID); err != nil {
			return nil, fmt.Errorf("reading the history of a chat: message id: %w", err)
		}
	}
	return h.store.ChatHistory(ctx, h.instance, chatID, after, max(1, min(limit, maxHistory)))
}

// instancePresence notes who is connected to one instance, as seen by one holder
// of connections.
type instancePresence struct {
	store    EdgeStore
	bus      *bus.Bus
	tenant   string
	instance uuid.UUID
	holder   string
}

// Online implements channels.Presence.
func (p *instancePresence) Online(ctx context.Context, userID string) error {
	_, err := p.bus.MarkPresence(ctx, omni.IdentityID(p.instance, userID), p.holder, true)
	return err
}

// Offline implements channels.Presence. Whoever has left everywhere was last
// seen now: that is remembered longer than who is there.
func (p *instancePresence) Offline(ctx context.Context, userID string) error {
	identity := omni.IdentityID(p.instance, userID)
	elsewhere, err := p.bus.MarkPresence(ctx, identity, p.holder, false)
	if err != nil || elsewhere {
		return err
	}
	return p.store.SawIdentity(ctx, p.tenant, identity, time.Now().UTC())
}

package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omnihub/omni/internal/omni"
)

// Typing is one typing notice, as it is published live.
type Typing struct {
	InstanceID uuid.UUID `json:"instanceId"`
	ChatID     uuid.UUID `json:"chatId"`
	SenderID   string    `json:"senderId,omitempty"` // the platform's id
	At         string    `json:"at"`                 // RFC 3339
	Seq        uint64    `json:"seq,omitempty"`      // its place in stream CHANNEL
}

// typists is the value of a chat in bucket typing: the last notice of each
// sender, the newest first.
type typists struct {
	Notices []Typing `json:"notices"`
}

// maxTypists bounds how many senders of a chat are remembered.
const maxTypists = 32

// MarkTyping remembers for half a minute that somebody types in the chat. One
// recorder at a time calls it.
func (b *Bus) MarkTyping(ctx context.Context, e *omni.Envelope) error {
	t := Typing{InstanceID: e.InstanceID, ChatID: e.ChatID(), SenderID: e.Event.Sender.ID, At: e.ReceivedAt.UTC().Format(timeFormat), Seq: e.Seq}
	kv, err := b.KV(ctx, BucketTyping)
	if err != nil {
		return err
	}
	now, err := typingIn(ctx, kv, t.ChatID)
	if err != nil {
		return err
	}
	value, err := json.Marshal(now.with(t))
	if err != nil {
		return fmt.Errorf("encoding who types: %w", err)
	}
	if _, err := kv.Put(ctx, t.ChatID.String(), value); err != nil {
		return fmt.Errorf("remembering that chat %s is typing: %w", t.ChatID, err)
	}
	return nil
}

// with puts a notice in front, in place of the sender's last one.
func (l typists) with(t Typing) typists {
	out := typists{Notices: []Typing{t}}
	for _, o := range l.Notices {
		if o.SenderID != t.SenderID && len(out.Notices) < maxTypists {
			out.Notices = append(out.Notices, o)
		}
	}
	return out
}

// TypingIn lists the last typing notice of each sender of the chat, the newest
// first, as far as they are remembered.
func (b *Bus) TypingIn(ctx context.Context, chatID uuid.UUID) ([]omni.TypingMark, error) {
	kv, err := b.KV(ctx, BucketTyping)
	if err != nil {
		return nil, err
	}
	now, err := typingIn(ctx, kv, chatID)
	if err != nil {
		return nil, err
	}
	marks := make([]omni.TypingMark, 0, len(now.Notices))
	for _, t := range now.Notices {
		at, err := time.Parse(timeFormat, t.At)
		if err != nil {
			continue
		}
		marks = append(marks, omni.TypingMark{SenderID: t.SenderID, Seq: t.Seq, At: at})
	}
	return marks, nil
}

func typingIn(ctx context.Context, kv jetstream.KeyValue, chatID uuid.UUID) (typists, error) {
	entry, err := kv.Get(ctx, chatID.String())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return typists{}, nil
	}
	if err != nil {
		return typists{}, fmt.Errorf("reading who types in chat %s: %w", chatID, err)
	}
	var l typists
	if err := json.Unmarshal(entry.Value(), &l); err != nil {
		return typists{}, nil //nolint:nilerr // another version's value: it is gone in half a minute
	}
	return l, nil
}

package control

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// target is where a message goes.
type target struct {
	instance *omni.Instance
	chat     message.Chat
	person   *uuid.UUID
}

// target resolves to, chatId or personId; exactly one must be given.
func (m *Messages) target(ctx context.Context, who *omni.APIKey, req *SendRequest) (*target, error) {
	given := 0
	for _, set := range []bool{req.To != "", req.ChatID != nil, req.PersonID != nil} {
		if set {
			given++
		}
	}
	switch {
	case given == 0:
		return nil, invalid("to", "one of to, chatId and personId is required")
	case given > 1:
		return nil, invalid("to", "only one of to, chatId and personId may be given")
	case req.ChatID != nil:
		return m.targetChat(ctx, who, req)
	case req.PersonID != nil:
		return m.targetPerson(ctx, who, req)
	default:
		return m.targetAddress(ctx, who, req)
	}
}

func (m *Messages) targetAddress(ctx context.Context, who *omni.APIKey, req *SendRequest) (*target, error) {
	if req.InstanceID == nil {
		return nil, invalid("instanceId", "is required with to")
	}
	if strings.ContainsRune(req.To, 0) || strings.TrimSpace(req.To) == "" {
		return nil, invalid("to", "is not an address")
	}
	in, err := visibleInstance(ctx, m.store, who, *req.InstanceID)
	if err != nil {
		return nil, err
	}
	return &target{instance: in, chat: message.Chat{ID: req.To, Type: message.ChatDM}}, nil
}

func (m *Messages) targetChat(ctx context.Context, who *omni.APIKey, req *SendRequest) (*target, error) {
	chat, err := m.store.Chat(ctx, who.TenantID, *req.ChatID)
	if err == nil && !who.Sees(chat.InstanceID) {
		err = omni.ErrNotFound
	}
	if err != nil {
		return nil, orNotFound(err, "chat")
	}
	if req.InstanceID != nil && *req.InstanceID != chat.InstanceID {
		return nil, invalid("chatId", "belongs to another instance")
	}
	return m.intoChat(ctx, who, chat, chat.PersonID)
}

// targetPerson writes where the person last did: their chat with that
// instance, or the one that their account opens.
func (m *Messages) targetPerson(ctx context.Context, who *omni.APIKey, req *SendRequest) (*target, error) {
	person, err := m.store.Person(ctx, who.TenantID, *req.PersonID)
	if err != nil {
		return nil, orNotFound(err, "person")
	}
	seen := false
	for _, i := range person.Identities { // the last used first
		if !who.Sees(i.InstanceID) {
			continue
		}
		seen = true
		if req.InstanceID != nil && *req.InstanceID != i.InstanceID {
			continue
		}
		chat, err := m.store.PersonDM(ctx, i.InstanceID, person.ID)
		if err == nil {
			return m.intoChat(ctx, who, chat, &person.ID)
		}
		if !errors.Is(err, omni.ErrNotFound) {
			return nil, err
		}
		in, err := visibleInstance(ctx, m.store, who, i.InstanceID)
		if err != nil {
			return nil, err
		}
		return &target{
			instance: in, person: &person.ID,
			chat: message.Chat{ID: i.PlatformUserID, Type: message.ChatDM, Name: i.Name},
		}, nil
	}
	if !seen && who.InstanceIDs != nil {
		return nil, notFound("person")
	}
	return nil, invalid("personId", "has no account there")
}

func (m *Messages) intoChat(ctx context.Context, who *omni.APIKey, chat *omni.Chat, person *uuid.UUID) (*target, error) {
	in, err := visibleInstance(ctx, m.store, who, chat.InstanceID)
	if err != nil {
		return nil, err
	}
	return &target{instance: in, person: person, chat: message.Chat{ID: chat.ExternalID, Type: chat.Type, Name: chat.Name}}, nil
}

package control

import (
	"context"
	"slices"
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

// targetPerson picks an account of the person among those that the caller may
// see: see omni.SortAddresses. It is written to in the chat with it, or in the
// one that the account itself opens.
func (m *Messages) targetPerson(ctx context.Context, who *omni.APIKey, req *SendRequest) (*target, error) {
	person, err := m.store.Person(ctx, who.TenantID, *req.PersonID)
	if err != nil {
		return nil, orNotFound(err, "person")
	}
	if who.InstanceIDs != nil && !slices.ContainsFunc(person.Identities, func(i omni.Identity) bool { return who.Sees(i.InstanceID) }) {
		return nil, notFound("person")
	}
	all, err := m.store.PersonAddresses(ctx, who.TenantID, person.ID)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(a omni.PersonAddress) bool {
		return !who.Sees(a.InstanceID) || req.InstanceID != nil && *req.InstanceID != a.InstanceID
	})
	if len(all) == 0 {
		return nil, invalid("personId", "has no account there")
	}
	omni.SortAddresses(all, person.PreferredIdentityID)
	best := all[0]
	in, err := visibleInstance(ctx, m.store, who, best.InstanceID)
	if err != nil {
		return nil, err
	}
	if best.Chat == nil {
		best.Chat = &message.Chat{ID: best.PlatformUserID, Type: message.ChatDM, Name: best.Name}
	}
	return &target{instance: in, person: &person.ID, chat: *best.Chat}, nil
}

func (m *Messages) intoChat(ctx context.Context, who *omni.APIKey, chat *omni.Chat, person *uuid.UUID) (*target, error) {
	in, err := visibleInstance(ctx, m.store, who, chat.InstanceID)
	if err != nil {
		return nil, err
	}
	return &target{instance: in, person: person, chat: message.Chat{ID: chat.ExternalID, Type: chat.Type, Name: chat.Name}}, nil
}

package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// PresenceReader knows who is there right now.
type PresenceReader interface {
	// Presence is what a channel last said of an account.
	Presence(ctx context.Context, identity uuid.UUID) (omni.PresenceMark, error)
	// TypingIn lists who types in a chat, and since when.
	TypingIn(ctx context.Context, chat uuid.UUID) ([]omni.TypingMark, error)
}

// Presence tells whether a person is there now, on the accounts that the caller
// may see, and when they last were.
func (s *Persons) Presence(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Presence, error) {
	p, err := s.Get(ctx, who, id)
	if err != nil {
		return nil, err
	}
	types, err := s.typing(ctx, p)
	if err != nil {
		return nil, s.away(ctx, err)
	}
	accounts := make([]omni.AccountPresence, 0, len(p.Identities))
	for _, i := range p.Identities {
		mark := omni.PresenceMark{}
		if s.live != nil {
			if mark, err = s.live.Presence(ctx, i.ID); err != nil {
				return nil, s.away(ctx, err)
			}
		}
		accounts = append(accounts, accountPresence(i, mark, types[account{i.InstanceID, i.PlatformUserID}]))
	}
	return omni.NewPresence(p.ID, accounts), nil
}

func (s *Persons) away(ctx context.Context, err error) error {
	s.log.WarnContext(ctx, "reading who is there", "error", err)
	return &Error{Kind: KindUnavailable, Code: CodeUnavailable, Detail: "who is there cannot be read right now", RetryAfter: time.Second}
}

func accountPresence(i omni.Identity, mark omni.PresenceMark, typed time.Time) omni.AccountPresence {
	a := omni.AccountPresence{IdentityID: i.ID, InstanceID: i.InstanceID, Channel: i.Channel, PlatformUserID: i.PlatformUserID,
		Status: omni.PresenceUnknown, LastSeenAt: i.LastSeenAt, Typing: !typed.IsZero() && time.Since(typed) < omni.TypingFor}
	for _, at := range []time.Time{mark.At, typed} {
		if at.After(a.LastSeenAt) {
			a.LastSeenAt = at
		}
	}
	switch {
	case mark.Online || a.Typing:
		a.Status = omni.PresenceOnline
	case reportsPresence(i.Channel):
		a.Status = omni.PresenceOffline
	}
	return a
}

func reportsPresence(channel string) bool {
	ch, ok := channels.Lookup(channel)
	return ok && ch.Info().Capabilities.Presence
}

// account is one as its platform names it.
type account struct {
	instance uuid.UUID
	id       string
}

// typing finds when each account last typed, in the chats that the person was
// in of late.
func (s *Persons) typing(ctx context.Context, p *omni.Person) (map[account]time.Time, error) {
	last := map[account]time.Time{}
	if s.live == nil {
		return last, nil
	}
	chats, err := s.store.PersonChats(ctx, p.TenantID, p.ID)
	if err != nil {
		return nil, err
	}
	for _, chat := range chats {
		marks, err := s.live.TypingIn(ctx, chat.ID)
		if err != nil {
			return nil, err
		}
		for _, m := range marks {
			if at := (account{chat.InstanceID, m.SenderID}); m.At.After(last[at]) {
				last[at] = m.At
			}
		}
	}
	return last, nil
}

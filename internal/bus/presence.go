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

// present is the value of an account in bucket presence: who holds a connection
// of it, and since when that was last said.
type present struct {
	Holders map[string]time.Time `json:"holders"`
	LeftAt  time.Time            `json:"leftAt,omitzero"`
}

// presenceTries is how often a change is tried that another process came before.
const presenceTries = 8

// MarkPresence notes that holder has a connection of the account, or has none
// any more. It reports whether any holder has one now. What a holder that died
// has said holds for omni.PresenceFor.
func (b *Bus) MarkPresence(ctx context.Context, identity uuid.UUID, holder string, online bool) (bool, error) {
	kv, err := b.KV(ctx, BucketPresence)
	if err != nil {
		return false, err
	}
	for range presenceTries {
		now, revision, err := presenceOf(ctx, kv, identity)
		if err != nil {
			return false, err
		}
		now.change(holder, online, time.Now().UTC())
		value, err := json.Marshal(now)
		if err != nil {
			return false, fmt.Errorf("encoding who is present: %w", err)
		}
		_, err = kv.Update(ctx, identity.String(), value, revision)
		if err == nil {
			return len(now.Holders) > 0, nil
		}
		var refused *jetstream.APIError
		if !errors.As(err, &refused) || refused.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
			return false, fmt.Errorf("noting the presence of %s: %w", identity, err)
		}
	}
	return false, fmt.Errorf("noting the presence of %s: too many do at once", identity)
}

func (p *present) change(holder string, online bool, now time.Time) {
	if p.Holders == nil {
		p.Holders = map[string]time.Time{}
	}
	if online {
		p.Holders[holder] = now
	} else {
		delete(p.Holders, holder)
		p.LeftAt = now
	}
	for h, at := range p.Holders {
		if now.Sub(at) > omni.PresenceFor {
			delete(p.Holders, h)
		}
	}
}

// Presence is what was last said of an account.
func (b *Bus) Presence(ctx context.Context, identity uuid.UUID) (omni.PresenceMark, error) {
	kv, err := b.KV(ctx, BucketPresence)
	if err != nil {
		return omni.PresenceMark{}, err
	}
	p, _, err := presenceOf(ctx, kv, identity)
	mark := omni.PresenceMark{At: p.LeftAt}
	for _, at := range p.Holders {
		if at.After(mark.At) {
			mark.At = at
		}
		mark.Online = mark.Online || time.Since(at) <= omni.PresenceFor
	}
	return mark, err
}

func presenceOf(ctx context.Context, kv jetstream.KeyValue, identity uuid.UUID) (present, uint64, error) {
	entry, err := kv.Get(ctx, identity.String())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return present{}, 0, nil
	}
	if err != nil {
		return present{}, 0, fmt.Errorf("reading the presence of %s: %w", identity, err)
	}
	var p present
	if json.Unmarshal(entry.Value(), &p) != nil {
		p = present{} // another version's: it is written anew
	}
	return p, entry.Revision(), nil
}

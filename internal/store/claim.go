package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// contact is what a channel verified of an account, as it said it.
type contact struct{ phone, email string }

// claimRow is one element of identities_claim's argument.
type claimRow struct {
	IdentityID     uuid.UUID `json:"identity_id"`
	FirstPersonID  uuid.UUID `json:"first_person_id"`
	TenantID       string    `json:"tenant_id"`
	InstanceID     uuid.UUID `json:"instance_id"`
	Channel        string    `json:"channel"`
	ChatID         uuid.UUID `json:"chat_id"`
	MessageID      uuid.UUID `json:"message_id"`
	PlatformUserID string    `json:"platform_user_id"`
	SenderName     string    `json:"sender_name"`
	Username       string    `json:"username"`
	Phone          string    `json:"phone"`
	Email          string    `json:"email"`
	PhoneKey       string    `json:"phone_key"`
	EmailKey       string    `json:"email_key"`
	IsBot          bool      `json:"is_bot"`
	Traceparent    string    `json:"traceparent"`
}

// claim links the senders of a batch to persons by what their channels
// verified of them, in a transaction of its own before the batch's: so the
// messages carry the right person from the start, and a batch that brings
// nothing new pays nothing. Claiming again changes nothing.
func (s *Store) claim(ctx context.Context, batch []*omni.Envelope) error {
	fresh := map[uuid.UUID]contact{}
	var rows []claimRow
	for _, e := range batch {
		from := &e.Event.Sender
		if from.ID == "" || from.Phone == "" && from.Email == "" || e.Event.IsFromMe ||
			e.Event.Kind != message.KindMessage && e.Event.Kind != message.KindReaction {
			continue
		}
		id, shown := omni.IdentityID(e.InstanceID, from.ID), contact{from.Phone, from.Email}
		if known, ok := s.contacts.GetIfPresent(id); ok && known == shown || fresh[id] == shown {
			continue
		}
		fresh[id] = shown
		rows = append(rows, newClaimRow(e, id))
	}
	if len(rows) == 0 {
		return nil
	}
	if err := s.claimRows(ctx, rows); err != nil {
		return err
	}
	for id, shown := range fresh {
		s.contacts.Set(id, shown)
	}
	return nil
}

func (s *Store) claimRows(ctx context.Context, rows []claimRow) error {
	// What cannot be compared links nobody: recording keeps it as it was given.
	linking := rows[:0:0]
	last := map[uuid.UUID]int{}
	for _, r := range rows {
		if r.PhoneKey == "" && r.EmailKey == "" {
			continue
		}
		if n, ok := last[r.IdentityID]; ok {
			linking[n] = r // the newest stands
			continue
		}
		last[r.IdentityID] = len(linking)
		linking = append(linking, r)
	}
	if len(linking) == 0 {
		return nil
	}
	p, err := json.Marshal(linking)
	if err != nil {
		return fmt.Errorf("encoding what %d accounts have shown: %w", len(linking), err)
	}
	var routed []uuid.UUID
	err = givingWay(ctx, func() error {
		return s.pool.QueryRow(ctx, `SELECT identities_claim($1)`, p).Scan(&routed)
	})
	if err != nil {
		return fmt.Errorf("linking %d accounts by what they have shown: %w", len(linking), err)
	}
	if s.rerouted != nil {
		for _, id := range routed {
			s.rerouted(ctx, id)
		}
	}
	return nil
}

func newClaimRow(e *omni.Envelope, id uuid.UUID) claimRow {
	from := &e.Event.Sender
	r := claimRow{IdentityID: id, FirstPersonID: omni.FirstPersonID(id), TenantID: e.TenantID, InstanceID: e.InstanceID,
		Channel: e.Channel, ChatID: e.ChatID(), MessageID: e.MessageID, PlatformUserID: from.ID, SenderName: from.Name,
		Username: from.Username, Phone: from.Phone, Email: from.Email, PhoneKey: omni.VerifiedPhone(from.Phone),
		EmailKey: omni.VerifiedEmail(from.Email), IsBot: from.IsBot, Traceparent: e.Traceparent}
	if r.PhoneKey != "" {
		r.Phone = r.PhoneKey
	}
	if r.EmailKey != "" {
		r.Email = r.EmailKey
	}
	return r
}

// graphTries bounds how often a change of the graph begins again: for about
// ten seconds.
const graphTries = 30

// givingWay runs a change of the graph again where it did not get a lock in
// time: it never makes others wait for a deadlock to be found.
func givingWay(ctx context.Context, do func() error) error {
	var err error
	for try := range graphTries {
		var refused *pgconn.PgError
		err = do()
		if !errors.As(err, &refused) || refused.Code != "55P03" && refused.Code != "40P01" { // lock_not_available, deadlock_detected
			return err
		}
		pause := time.NewTimer(time.Duration(1+rand.IntN(10*(1+min(try, 9)))) * time.Millisecond) //nolint:gosec // only to come at another time
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
	return err
}

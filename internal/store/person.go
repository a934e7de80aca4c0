package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// Person reads one person with their identities, the last used first. Somebody
// who was merged into another person is that person. ErrNotFound if there is none.
func (s *Store) Person(ctx context.Context, tenant string, id uuid.UUID) (*omni.Person, error) {
	row, err := s.q.GetPerson(ctx, dbsqlc.GetPersonParams{ID: id, TenantID: tenant})
	if errors.Is(err, pgx.ErrNoRows) {
		if id, err = s.q.PersonNow(ctx, dbsqlc.PersonNowParams{ID: id, TenantID: tenant}); err == nil {
			row, err = s.q.GetPerson(ctx, dbsqlc.GetPersonParams{ID: id, TenantID: tenant})
		}
	}
	if err != nil {
		return nil, wrap(err, "reading person "+id.String())
	}
	p := personView(row)
	identities, err := s.q.PersonIdentities(ctx, dbsqlc.PersonIdentitiesParams{PersonID: p.ID, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading the identities of person "+id.String())
	}
	for _, i := range identities {
		p.Identities = append(p.Identities, identityView(i))
	}
	return &p, nil
}

// PersonAddresses reads the accounts that a person can be written to, in no order.
func (s *Store) PersonAddresses(ctx context.Context, tenant string, person uuid.UUID) ([]omni.PersonAddress, error) {
	rows, err := s.q.PersonAddresses(ctx, dbsqlc.PersonAddressesParams{
		PersonID: person, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading the accounts of person "+person.String())
	}
	out := make([]omni.PersonAddress, 0, len(rows))
	for _, r := range rows {
		a := omni.PersonAddress{IdentityID: r.ID, InstanceID: r.InstanceID, PlatformUserID: r.PlatformUserID, Name: r.Name,
			Connected: r.Status == string(channels.StatusActive) && !r.Disabled, Disabled: r.Disabled, UsedAt: r.UsedAt, LastSeenAt: r.LastSeenAt}
		if r.ChatExternalID != "" {
			a.Chat = &message.Chat{ID: r.ChatExternalID, Type: message.ChatDM, Name: r.ChatName}
		}
		out = append(out, a)
	}
	return out, nil
}

// ListPersons reads a page, newest first, without identities. f.Query is for
// SearchPersons.
func (s *Store) ListPersons(ctx context.Context, tenant string, f omni.PersonFilter, p omni.Page) ([]omni.Person, error) {
	var w where
	w.and("p.tenant_id = ?", tenant)
	if f.Within != nil {
		w.and("EXISTS (SELECT FROM identities i WHERE i.person_id = p.id AND i.instance_id = ANY (?::uuid[]))", f.Within)
	}
	w.andID("EXISTS (SELECT FROM identities i WHERE i.person_id = p.id AND i.instance_id = ?)", f.InstanceID)
	w.andID("p.id = ?", f.PersonID)
	rows, err := s.pool.Query(ctx, "SELECT "+personColumns+" FROM persons p"+w.page("p.", p), w.args...)
	if err != nil {
		return nil, wrap(err, "listing persons")
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[dbsqlc.Person])
	if err != nil {
		return nil, wrap(err, "reading persons")
	}
	out := make([]omni.Person, 0, len(found))
	for _, row := range found {
		out = append(out, personView(row))
	}
	return out, nil
}

func personView(r dbsqlc.Person) omni.Person {
	return omni.Person{ID: r.ID, TenantID: r.TenantID, DisplayName: r.DisplayName, Phone: r.Phone, Email: r.Email,
		Notes: r.Notes, Labels: r.Labels, PreferredIdentityID: idOf(r.PreferredIdentityID), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

func identityView(r dbsqlc.Identity) omni.Identity {
	return omni.Identity{ID: r.ID, InstanceID: r.InstanceID, Channel: r.Channel, PlatformUserID: r.PlatformUserID,
		PersonID: r.PersonID, Name: r.Name, Username: r.Username, Phone: r.Phone, Email: r.Email, IsBot: r.IsBot,
		FirstSeenAt: r.FirstSeenAt, LastSeenAt: r.LastSeenAt}
}

// PersonChats lists the chats with a person alone, and those that they wrote in
// of late; fifty at most.
func (s *Store) PersonChats(ctx context.Context, tenant string, person uuid.UUID) ([]omni.ChatRef, error) {
	rows, err := s.q.PersonChats(ctx, dbsqlc.PersonChatsParams{
		PersonID: uuid.NullUUID{UUID: person, Valid: true}, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading the chats of person "+person.String())
	}
	out := make([]omni.ChatRef, len(rows))
	for i, r := range rows {
		out[i] = omni.ChatRef{ID: r.ID, InstanceID: r.InstanceID}
	}
	return out, nil
}

// SawIdentity notes when an account was last there; nothing where there is none.
func (s *Store) SawIdentity(ctx context.Context, tenant string, id uuid.UUID, at time.Time) error {
	return wrap(s.q.SawIdentity(ctx, dbsqlc.SawIdentityParams{ID: id, TenantID: tenant, At: at}), "noting when account "+id.String()+" was there")
}

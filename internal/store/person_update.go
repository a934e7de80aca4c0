package store

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// UpdatePerson changes what people say of a person, with the event. change gets
// the person as it is, locked, with their identities; its error ends the call
// and nothing is changed. by is who asked.
func (s *Store) UpdatePerson(ctx context.Context, tenant string, id uuid.UUID, by string, change func(*omni.Person) error) (*omni.Person, error) {
	var after *omni.Person
	err := s.inTx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		row, err := q.LockPerson(ctx, dbsqlc.LockPersonParams{ID: id, TenantID: tenant})
		if err != nil {
			return wrap(err, "reading person "+id.String())
		}
		before := personView(row)
		accounts, err := q.PersonIdentities(ctx, dbsqlc.PersonIdentitiesParams{PersonID: id, TenantID: tenant})
		if err != nil {
			return wrap(err, "reading the identities of person "+id.String())
		}
		for _, i := range accounts {
			before.Identities = append(before.Identities, identityView(i))
		}
		p := before
		p.Labels = slices.Clone(before.Labels)
		if err := change(&p); err != nil {
			return err
		}
		after = &p
		data := personChanges(&before, &p)
		if len(data) == 0 {
			return nil
		}
		row, err = q.UpdatePerson(ctx, dbsqlc.UpdatePersonParams{ID: id, TenantID: tenant, DisplayName: p.DisplayName, Phone: p.Phone,
			Email: p.Email, Notes: p.Notes, Labels: append([]string{}, p.Labels...), PreferredIdentityID: nullID(p.PreferredIdentityID)})
		if err != nil {
			return wrap(err, "changing person "+id.String())
		}
		p.UpdatedAt = row.UpdatedAt
		data["personId"], data["by"] = id, by
		return appendEvent(ctx, q, personEvent(&p, data))
	})
	return after, err
}

// personChanges are the fields that differ, as they are now.
func personChanges(before, after *omni.Person) map[string]any {
	changed := map[string]any{}
	for _, f := range []struct {
		name        string
		was, is     string
		replacement any
	}{
		{"displayName", before.DisplayName, after.DisplayName, after.DisplayName},
		{"phone", before.Phone, after.Phone, after.Phone},
		{"email", before.Email, after.Email, after.Email},
		{"notes", before.Notes, after.Notes, after.Notes},
		{"preferredIdentityId", nullID(before.PreferredIdentityID).UUID.String(), nullID(after.PreferredIdentityID).UUID.String(), after.PreferredIdentityID},
	} {
		if f.was != f.is {
			changed[f.name] = f.replacement
		}
	}
	if !slices.Equal(before.Labels, after.Labels) {
		changed["labels"] = append([]string{}, after.Labels...)
	}
	return changed
}

// personEvent is about a person: it is published as of the account that was
// used last, because every event has an instance.
func personEvent(p *omni.Person, data map[string]any) NewEvent {
	e := NewEvent{TenantID: p.TenantID, Type: omni.EventIdentityUpdated, Subject: p.ID.String(), Channel: "none",
		PersonID: uuid.NullUUID{UUID: p.ID, Valid: true}, Data: data}
	if len(p.Identities) > 0 {
		e.InstanceID, e.Channel = p.Identities[0].InstanceID, p.Identities[0].Channel
	}
	return e
}

package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// Timeline reads a page of everything that was said by a person and to them, on
// all channels, newest first, in one query (one more for each person that has
// just become this one): what their accounts wrote, wherever
// that was, what was answered, and what else was sent in the chats with them.
func (s *Store) Timeline(ctx context.Context, tenant string, person uuid.UUID, f omni.TimelineFilter, p omni.Page) ([]omni.Message, error) {
	names, err := s.personNames(ctx, person)
	if err != nil {
		return nil, err
	}
	var all []omni.Message
	for _, name := range names {
		sql, args := timelineQuery(tenant, name, f, p)
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return nil, wrap(err, "reading the timeline of person "+person.String())
		}
		part, err := collectMessages(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	if len(names) > 1 {
		slices.SortFunc(all, func(a, b omni.Message) int {
			return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), bytes.Compare(b.ID[:], a.ID[:]))
		})
		all = all[:min(len(all), p.Limit)]
	}
	return all, nil
}

func timelineQuery(tenant string, person uuid.UUID, f omni.TimelineFilter, p omni.Page) (sql string, args []any) {
	var w where
	w.and("tenant_id = ?", tenant)
	w.conds = append(w.conds, "kind <> 'stub'")
	w.within("instance_id", f.Within)
	w.andID("instance_id = ?", f.InstanceID)
	w.andID("chat_id = ?", f.ChatID)
	w.andText("content ->> 'type' = ?", f.Type)
	w.andText("direction = ?", f.Direction)
	if f.Since != nil {
		w.and("created_at >= ?", *f.Since)
	}
	if f.Until != nil {
		w.and("created_at < ?", *f.Until)
	}
	w.after("", p)
	who, which, newest := w.arg(person), w.sql(), w.newest("", p)
	// Each branch reads no more than a page from an index that has its order.
	return `SELECT ` + messageColumns + ` FROM (
		(SELECT * FROM messages` + which + ` AND person_id = ` + who + newest + `)
		UNION ALL
		(SELECT m.* FROM chats c CROSS JOIN LATERAL (
			SELECT * FROM messages` + which + ` AND chat_id = c.id AND person_id IS NULL` + newest + `) m
		 WHERE c.person_id = ` + who + ` AND c.type = 'dm')
	) t` + newest, w.args
}

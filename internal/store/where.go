package store

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// where builds the condition of a list. Lists are written by hand: a filter
// that is not used must not be in the statement, or Postgres would plan one
// statement for all of them and miss the index that fits.
type where struct {
	conds []string
	args  []any
}

// arg adds a parameter and returns its placeholder.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

// and adds a condition; each ? in it stands for v.
func (w *where) and(cond string, v any) {
	w.conds = append(w.conds, strings.ReplaceAll(cond, "?", w.arg(v)))
}

func (w *where) andID(cond string, id uuid.UUID) {
	if id != uuid.Nil {
		w.and(cond, id)
	}
}

func (w *where) andText(cond, v string) {
	if v != "" {
		w.and(cond, v)
	}
}

// within restricts to instances; nil does not.
func (w *where) within(column string, ids []uuid.UUID) {
	if ids != nil {
		w.and(column+" = ANY (?::uuid[])", ids)
	}
}

// page orders newest first by (created_at, id) and cuts.
func (w *where) page(alias string, p omni.Page) string {
	w.after(alias, p)
	return w.sql() + w.newest(alias, p)
}

// after keeps what comes after the page before.
func (w *where) after(alias string, p omni.Page) {
	if p.After != nil {
		w.conds = append(w.conds, "("+alias+"created_at, "+alias+"id) < ("+w.arg(p.After.At)+", "+w.arg(p.After.ID)+")")
	}
}

func (w *where) newest(alias string, p omni.Page) string {
	return " ORDER BY " + alias + "created_at DESC, " + alias + "id DESC LIMIT " + w.arg(p.Limit)
}

func (w *where) sql() string { return " WHERE " + strings.Join(w.conds, " AND ") }

// escapeLike makes a pattern of LIKE that fits the text itself.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// idOf is a nullable id as it is shown.
func idOf(id uuid.NullUUID) *uuid.UUID {
	if !id.Valid {
		return nil
	}
	return &id.UUID
}

func nullID(id *uuid.UUID) uuid.NullUUID {
	if id == nil {
		return uuid.NullUUID{}
	}
	return uuid.NullUUID{UUID: *id, Valid: true}
}

func nullUUID(id *uuid.UUID) uuid.NullUUID {
	if id == nil {
		return uuid.NullUUID{}
	}
	return uuid.NullUUID{UUID: *id, Valid: true}
}

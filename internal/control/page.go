package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// The bounds of a list.
const (
	DefaultLimit = 50
	MaxLimit     = 100
)

// List is one page of something, newest first.
type List[T any] struct {
	Items []T
	Next  string // cursor of the next page, "" if this is the last
}

// Paging is what a caller asks of a list: at most Limit items (0: the default)
// after a cursor.
type Paging struct {
	Limit  int
	Cursor string
}

func (p Paging) limit() int {
	switch {
	case p.Limit <= 0:
		return DefaultLimit
	case p.Limit > MaxLimit:
		return MaxLimit
	default:
		return p.Limit
	}
}

// page asks for one row more than shown, to know whether there is a next page.
func (p Paging) page() (omni.Page, error) {
	after, err := omni.ParseCursor(p.Cursor)
	if err != nil {
		return omni.Page{}, invalid("cursor", "is not one that this hub gave out")
	}
	return omni.Page{Limit: p.limit() + 1, After: after}, nil
}

// list reads a page of what the caller's tenant has: read gives rows that fit f,
// newest first by key, at most as many as the page asks for.
func list[T, F any](ctx context.Context, who *omni.APIKey, f F, p Paging,
	read func(context.Context, string, F, omni.Page) ([]T, error), key func(*T) (time.Time, uuid.UUID)) (*List[T], error) {
	page, err := p.page()
	if err != nil {
		return nil, err
	}
	rows, err := read(ctx, who.TenantID, f, page)
	if err != nil {
		return nil, err
	}
	return listOf(p, rows, key), nil
}

func listOf[T any](p Paging, rows []T, key func(*T) (time.Time, uuid.UUID)) *List[T] {
	out := &List[T]{Items: rows}
	if n := p.limit(); len(rows) > n {
		out.Items = rows[:n]
		at, id := key(&rows[n-1])
		out.Next = omni.Key{At: at, ID: id}.Cursor()
	}
	return out
}

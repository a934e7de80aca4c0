package control

import (
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

func listOf[T any](p Paging, rows []T, key func(*T) (time.Time, uuid.UUID)) *List[T] {
	out := &List[T]{Items: rows}
	if n := p.limit(); len(rows) > n {
		out.Items = rows[:n]
		at, id := key(&rows[n-1])
		out.Next = omni.Key{At: at, ID: id}.Cursor()
	}
	return out
}

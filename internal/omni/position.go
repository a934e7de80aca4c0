package omni

import (
	"fmt"
	"strconv"
	"strings"
)

// Position is a place in the event log: the transaction that wrote the event,
// then the row. Transactions commit out of order, so readers see only rows of
// transactions older than every running one; among those, (Xid, Seq) is a
// total order in which nothing can appear behind a reader.
type Position struct {
	Xid uint64
	Seq int64
}

// String is the opaque form given to the outside.
func (p Position) String() string { return fmt.Sprintf("%x-%x", p.Xid, p.Seq) }

// IsZero reports the place before the first event.
func (p Position) IsZero() bool { return p == Position{} }

// Less orders positions.
func (p Position) Less(q Position) bool {
	return p.Xid < q.Xid || p.Xid == q.Xid && p.Seq < q.Seq
}

// ParsePosition reads what String wrote. "" and "0" are the beginning.
func ParsePosition(s string) (Position, error) {
	if s == "" || s == "0" {
		return Position{}, nil
	}
	x, q, ok := strings.Cut(s, "-")
	if !ok {
		return Position{}, fmt.Errorf("position %q is not one that this log gave out", s)
	}
	xid, err := strconv.ParseUint(x, 16, 64)
	if err != nil {
		return Position{}, fmt.Errorf("position %q is not one that this log gave out", s)
	}
	seq, err := strconv.ParseInt(q, 16, 64)
	if err != nil || seq < 0 {
		return Position{}, fmt.Errorf("position %q is not one that this log gave out", s)
	}
	return Position{Xid: xid, Seq: seq}, nil
}

package omni

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Key is a place in a list that is ordered newest first by (time, id).
type Key struct {
	At time.Time // microseconds, as Postgres keeps them
	ID uuid.UUID
}

// Page asks for at most Limit rows that come after After (nil: the first page).
type Page struct {
	Limit int
	After *Key
}

// Cursor is the opaque form of a key, given to the outside.
func (k Key) Cursor() string {
	b := k.bytes()
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// keyBytes is the length of a key: microseconds since 1970, then the id.
const keyBytes = 24

func (k Key) bytes() (b [keyBytes]byte) {
	binary.BigEndian.PutUint64(b[:8], uint64(k.At.UnixMicro()))
	copy(b[8:], k.ID[:])
	return b
}

// keyOf reads a key; false: at a time that no row has, and not every database
// takes.
func keyOf(b [keyBytes]byte) (k Key, ok bool) {
	k.At = time.UnixMicro(int64(binary.BigEndian.Uint64(b[:8]))).UTC()
	copy(k.ID[:], b[8:])
	return k, k.At.Year() >= 1 && k.At.Year() <= 9999
}

func errCursor(s string) error { return fmt.Errorf("cursor %q is not one that this hub gave out", s) }

// ParseCursor reads what Cursor wrote; "" is the first page (nil).
func ParseCursor(s string) (*Key, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no cursor is a valid answer, not a failure
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != keyBytes {
		return nil, errCursor(s)
	}
	k, ok := keyOf([keyBytes]byte(b))
	if !ok {
		return nil, errCursor(s)
	}
	return &k, nil
}

// AfterParams are the page's start as nullable query parameters.
func (p Page) AfterParams() (*time.Time, uuid.NullUUID) {
	if p.After == nil {
		return nil, uuid.NullUUID{}
	}
	return &p.After.At, uuid.NullUUID{UUID: p.After.ID, Valid: true}
}

// RankedKey is a place in a list that is ordered by rank (0 first), and within
// a rank newest first.
type RankedKey struct {
	Rank byte
	Key
}

// Cursor is the opaque form of the key, given to the outside.
func (k RankedKey) Cursor() string {
	b := k.bytes()
	return base64.RawURLEncoding.EncodeToString(append([]byte{k.Rank}, b[:]...))
}

// ParseRankedCursor reads what RankedKey.Cursor wrote; "" is the first page (nil).
func ParseRankedCursor(s string) (*RankedKey, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no cursor is a valid answer, not a failure
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 1+keyBytes {
		return nil, errCursor(s)
	}
	k, ok := keyOf([keyBytes]byte(b[1:]))
	if !ok {
		return nil, errCursor(s)
	}
	return &RankedKey{Rank: b[0], Key: k}, nil
}

package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// panicError is a caught panic.
type panicError struct {
	value string
	stack string
}

func newPanicError(p any) *panicError {
	return &panicError{value: fmt.Sprint(p), stack: string(debug.Stack())}
}

func (e *panicError) Error() string { return "panic: " + e.value }

// transient reports whether a failure of the database says nothing about what
// was written: it is away, going away, too busy, or not yet migrated.
func transient(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && len(pg.Code) == 5 {
		switch pg.Code[:2] {
		case "21", "22", "23", "54", "P0": // the content: data, constraints, limits, raised by our functions
			return false
		default:
			return true
		}
	}
	var value *json.UnsupportedValueError
	var typ *json.UnsupportedTypeError
	var marshaler *json.MarshalerError
	if errors.As(err, &value) || errors.As(err, &typ) || errors.As(err, &marshaler) {
		return false
	}
	return isConnection(err)
}

// isConnection reports whether an error is of the way to the database.
func isConnection(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		pgconn.Timeout(err) || pgconn.SafeToRetry(err)
}

// newPoison is the dead letter of an item, with everything needed to try again.
func newPoison(it *item, failure error) (store.Poison, error) {
	p := store.Poison{TenantID: tenantOf(it.msg.Subject()), Error: failure.Error(), Attempts: int(it.tries)} //nolint:gosec // a small count
	input := map[string]any{"stream": store.StreamChannel, "seq": it.seq, "subject": it.msg.Subject()}
	if it.env != nil {
		input["envelope"] = it.env
		p.TenantID = it.env.TenantID
		p.InstanceID = uuid.NullUUID{UUID: it.env.InstanceID, Valid: true}
		p.ChatID = uuid.NullUUID{UUID: it.env.ChatID(), Valid: true}
		p.MessageID = uuid.NullUUID{UUID: it.env.MessageID, Valid: true}
	} else {
		input["payload"] = it.msg.Data() // base64: it may be anything
	}
	meta, err := it.msg.Metadata()
	if err != nil {
		return p, fmt.Errorf("reading the place of a message: %w", err)
	}
	// The same event gives the same id, however often it comes back.
	p.ID = uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s/%d/%s", store.StreamChannel, it.seq, meta.Timestamp.UTC().Format(time.RFC3339Nano)))
	p.Input, err = json.Marshal(input)
	if err != nil {
		return p, fmt.Errorf("encoding a dead letter: %w", err)
	}
	return p, nil
}

// tenantOf is whose an event is that cannot be read: its subject says so.
func tenantOf(subject string) string {
	parts := strings.Split(subject, ".") // channel.inbound.<tenant>.<channel>.<instance>
	if len(parts) > 2 && omni.ValidTenantName(parts[2]) {
		return parts[2]
	}
	return omni.DefaultTenant
}

// backoff doubles from least to most with the number of attempts, and varies.
func backoff(attempt uint64, least, most time.Duration) time.Duration {
	d := most
	if attempt < 16 {
		d = min(least<<max(attempt, 1)>>1, most)
	}
	return d - d/4 + rand.N(d/4+1)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

package identity

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// Store is what the step needs of the database.
type Store interface {
	InboundMessage(ctx context.Context, id uuid.UUID) (*omni.InboundMessage, error)
	Record(ctx context.Context, batch []omni.Envelope, floor uint64) error
	LedTurn(ctx context.Context, chat, messageID uuid.UUID) (turn uuid.NullUUID, epoch int, err error)
}

// Log reads stream CHANNEL.
type Log interface {
	GetInbound(ctx context.Context, seq uint64) (*omni.Envelope, error)
}

// Admitter decides what the settings alone decide; *store.InstanceCache does.
type Admitter interface {
	Admit(ctx context.Context, batch []omni.Envelope) error
}

// Activities implements the step.
type Activities struct {
	Store     Store
	Log       Log
	Instances Admitter
}

// Resolve names the person of a message. Where the recorder has not stored the
// message yet, it does so itself with the same upsert; where the message has
// an outcome already, it says so.
func (a *Activities) Resolve(ctx context.Context, in activities.ResolveInput) (activities.ResolveOutput, error) {
	m, err := a.Store.InboundMessage(ctx, in.Message.MessageID)
	if errors.Is(err, omni.ErrNotFound) {
		if err := a.record(ctx, in.Message); err != nil {
			return activities.ResolveOutput{}, err
		}
		m, err = a.Store.InboundMessage(ctx, in.Message.MessageID)
	}
	if err != nil {
		return activities.ResolveOutput{}, err
	}
	out := activities.ResolveOutput{PersonID: m.PersonID.UUID}
	if m.Status == omni.StatusReceived || m.Status == omni.StatusProcessing {
		return out, nil
	}
	out.Outcome = string(m.Status)
	out.Turn, out.Epoch, err = a.Store.LedTurn(ctx, in.Message.ChatID, in.Message.MessageID)
	return out, err
}

func (a *Activities) record(ctx context.Context, ref activities.MessageRef) error {
	e, err := a.Log.GetInbound(ctx, ref.Seq)
	if err != nil {
		return fmt.Errorf("reading message %s at sequence %d: %w", ref.MessageID, ref.Seq, err)
	}
	if e.MessageID != ref.MessageID {
		return fmt.Errorf("sequence %d holds message %s, not %s", ref.Seq, e.MessageID, ref.MessageID)
	}
	batch := []omni.Envelope{*e}
	if err := a.Instances.Admit(ctx, batch); err != nil {
		return err
	}
	return a.Store.Record(ctx, batch, 0)
}

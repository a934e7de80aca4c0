package control

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// MessageStore is what the messages' use cases need of the store.
type MessageStore interface {
	SendStore
	ListMessages(ctx context.Context, tenant string, f omni.MessageFilter, p omni.Page) ([]omni.Message, error)
	TurnReplies(ctx context.Context, turn uuid.UUID) ([]omni.Message, error)
	TurnTrace(ctx context.Context, tenant string, turn uuid.UUID) (*omni.TurnTrace, error)
	// RelatedTurns reads those whose messages a turn took over, and those that
	// followed it up.
	RelatedTurns(ctx context.Context, turn uuid.UUID) ([]omni.TurnTrace, error)
	// OutboundRuns lists why a message sent by API went on after its first workflow.
	OutboundRuns(ctx context.Context, first uuid.UUID, parts []uuid.UUID) ([]uuid.UUID, error)
	// FollowUpsAfter lists which follow-ups a turn has had, by their number.
	FollowUpsAfter(ctx context.Context, turn uuid.UUID) ([]int, error)
	EventsByCorrelation(ctx context.Context, tenant string, ids []uuid.UUID, limit int) ([]omni.Event, error)
}

// Messages are the use cases around messages. Safe for concurrent use.
type Messages struct {
	store     MessageStore
	engine    Engine
	workflows Describer // nil: traces know no run ids
	ui        TemporalUI
	log       *slog.Logger
	waiting   chan struct{} // a place for each caller who waits for an outcome
}

// Get reads one message.
func (m *Messages) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Message, error) {
	return m.visible(ctx, who, id)
}

// List reads a page of messages.
func (m *Messages) List(ctx context.Context, who *omni.APIKey, f omni.MessageFilter, p Paging) (*List[omni.Message], error) {
	f.Within = who.InstanceIDs
	return list(ctx, who, f, p, m.store.ListMessages, func(v *omni.Message) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

func (m *Messages) visible(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Message, error) {
	msg, err := m.store.Message(ctx, who.TenantID, id)
	if err == nil && !who.Sees(msg.InstanceID) {
		err = omni.ErrNotFound
	}
	if err != nil {
		return nil, orNotFound(err, "message")
	}
	return msg, nil
}

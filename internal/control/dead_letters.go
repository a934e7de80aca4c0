package control

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// DeadLetterStore is what the dead letters' use cases need of the store.
type DeadLetterStore interface {
	DeadLetter(ctx context.Context, tenant string, id uuid.UUID) (*omni.DeadLetter, error)
	ListDeadLetters(ctx context.Context, tenant string, f omni.DeadLetterFilter, p omni.Page) ([]omni.DeadLetter, error)
	CountDeadLetters(ctx context.Context, tenant string, f omni.DeadLetterFilter) (int, error)
	// NextDeadLetters reads places after a place, oldest first.
	NextDeadLetters(ctx context.Context, tenant string, f omni.DeadLetterFilter, after *omni.Key, limit int) ([]omni.Key, error)
	// RetryDeadLetter takes what a letter is about back to the step that failed.
	RetryDeadLetter(ctx context.Context, tenant string, id uuid.UUID) (*omni.DeadLetterRetry, error)
	MarkDeadLetterStarted(ctx context.Context, tenant string, id uuid.UUID) error
	UnstartedDeadLetters(ctx context.Context, olderThan time.Duration, limit int) ([]omni.DeadLetterRef, error)
	// ResolveDeadLetter closes an open one; false where it is not open.
	ResolveDeadLetter(ctx context.Context, tenant string, id uuid.UUID) (bool, error)
	ResolveDeadLetters(ctx context.Context, tenant string, f omni.DeadLetterFilter) (int, error)
}

// RetryEngine starts what goes on with a retried dead letter. Starting it
// again is no error and changes nothing.
type RetryEngine interface {
	StartTurn(ctx context.Context, t activities.TurnRef) error
	RetryOutbound(ctx context.Context, in workflows.OutboundInput, deadLetter uuid.UUID) error
}

// Republisher puts an inbound event on its stream again. The same key within
// some minutes is the same event.
type Republisher interface {
	RepublishInbound(ctx context.Context, subject string, payload []byte, key string) error
}

// DeadLetters are the use cases around steps that were given up on. Safe for
// concurrent use.
type DeadLetters struct {
	store   DeadLetterStore
	engine  RetryEngine
	inbound Republisher // nil: poison cannot be retried here
	log     *slog.Logger
}

// Get reads one dead letter.
func (s *DeadLetters) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.DeadLetter, error) {
	d, err := s.store.DeadLetter(ctx, who.TenantID, id)
	if err == nil && who.InstanceIDs != nil && (d.InstanceID == nil || !who.Sees(*d.InstanceID)) {
		err = omni.ErrNotFound
	}
	if err != nil {
		return nil, orNotFound(err, "dead letter")
	}
	return d, nil
}

// List reads a page of dead letters.
func (s *DeadLetters) List(ctx context.Context, who *omni.APIKey, f omni.DeadLetterFilter, p Paging) (*List[omni.DeadLetter], error) {
	f.Within = who.InstanceIDs
	return list(ctx, who, f, p, s.store.ListDeadLetters, func(v *omni.DeadLetter) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

// Retry goes on from the step that failed, once: what was delivered is not
// repeated, and the agent and the channel see the same keys. While a retry is
// under way, another one is answered like the first. What cannot be retried is
// a KindConflict.
func (s *DeadLetters) Retry(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.DeadLetter, error) {
	if _, err := s.Get(ctx, who, id); err != nil {
		return nil, err
	}
	if err := s.retry(ctx, who.TenantID, id); err != nil {
		return nil, err
	}
	return s.Get(ctx, who, id)
}

func (s *DeadLetters) retry(ctx context.Context, tenant string, id uuid.UUID) error {
	r, err := s.store.RetryDeadLetter(ctx, tenant, id)
	if err != nil {
		return orNotFound(err, "dead letter")
	}
	if refused := refusal(r.State); refused != nil {
		return refused
	}
	if err := s.start(ctx, r); err != nil {
		if r.State == omni.RetryPoison {
			return err
		}
		s.log.WarnContext(ctx, "starting a retry; it is started again within seconds", "dead_letter", id, "error", err)
	}
	return nil
}

// start sets going what RetryDeadLetter has prepared.
func (s *DeadLetters) start(ctx context.Context, r *omni.DeadLetterRetry) error {
	var err error
	switch {
	case r.State == omni.RetryPoison:
		err = s.republish(ctx, r)
	case r.TurnID.Valid:
		err = s.engine.StartTurn(ctx, activities.TurnRef{TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel,
			ChatID: r.ChatID, TurnID: r.TurnID.UUID, Epoch: r.Epoch, WorkflowID: r.WorkflowID, Leader: r.MessageID,
			Traceparent: r.Traceparent})
	default:
		err = s.engine.RetryOutbound(ctx, workflows.OutboundInput{TenantID: r.TenantID, InstanceID: r.InstanceID, Channel: r.Channel,
			ChatID: r.ChatID, MessageID: r.MessageID, Parts: r.Parts, Traceparent: r.Traceparent}, r.ID)
	}
	if err != nil {
		return err
	}
	return s.store.MarkDeadLetterStarted(ctx, r.TenantID, r.ID)
}

// Resolve closes a dead letter: a person has dealt with it, or nothing is to
// be done. One that is resolved stays so.
func (s *DeadLetters) Resolve(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.DeadLetter, error) {
	if _, err := s.Get(ctx, who, id); err != nil {
		return nil, err
	}
	resolved, err := s.store.ResolveDeadLetter(ctx, who.TenantID, id)
	if err != nil {
		return nil, err
	}
	d, err := s.Get(ctx, who, id)
	if err == nil && !resolved && d.Status != omni.DeadLetterResolved {
		return nil, refusal(omni.RetryRetried)
	}
	return d, err
}

// Sweep starts the retries whose start was missed. It is called every few
// seconds by one process or several.
func (s *DeadLetters) Sweep(ctx context.Context) error {
	const grace, batch = 3 * time.Second, 100
	late, err := s.store.UnstartedDeadLetters(ctx, grace, batch)
	if err != nil {
		return err
	}
	var failed []error
	for _, ref := range late {
		r, err := s.store.RetryDeadLetter(ctx, ref.TenantID, ref.ID)
		switch {
		case err != nil:
		case r.State == omni.RetryUnderWay:
			err = s.start(ctx, r)
		default: // over meanwhile
			err = s.store.MarkDeadLetterStarted(ctx, ref.TenantID, ref.ID)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// refusal says why a retry does nothing, nil if it does something.
func refusal(state omni.RetryState) error {
	refused := map[omni.RetryState]struct{ code, detail string }{
		omni.RetryRetried:  {CodeNotOpen, "it has been retried already; if that failed, too, there is a newer dead letter"},
		omni.RetryResolved: {CodeNotOpen, "it is resolved"},
		omni.RetryPaused:   {CodeChatPaused, "a person has taken the chat over: resume it first"},
		omni.RetryBusy:     {CodeTurnInProgress, "its turn is not over yet: retry it when it is"},
		omni.RetryAnswered: {CodeAnswered, "there is nothing left to do: resolve it"},
		omni.RetryGone:     {CodeInstanceGone, "its instance or chat was deleted: resolve it"},
	}
	if r, ok := refused[state]; ok {
		return &Error{Kind: KindConflict, Code: r.code, Detail: r.detail}
	}
	return nil
}

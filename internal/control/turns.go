package control

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// TurnStore is what the turns' use cases need of the store.
type TurnStore interface {
	TurnOwner(ctx context.Context, tenant string, turn uuid.UUID) (instance uuid.UUID, channel string, err error)
	// TurnBatch reads the messages that a turn answers.
	TurnBatch(ctx context.Context, turn uuid.UUID, epoch int) ([]omni.TurnMessage, error)
	// ReplyTurn stores an answer; hash names the request's body.
	ReplyTurn(ctx context.Context, tenant string, turn uuid.UUID, ans omni.Answer, hash []byte, deliverWithin time.Duration) (omni.TurnReply, error)
}

// Waker wakes a workflow; one that is gone is no error.
type Waker interface {
	Signal(ctx context.Context, workflowID, signal string) error
}

// Turns are the use cases around turns. Safe for concurrent use.
type Turns struct {
	store     TurnStore
	instances instanceReader
	waker     Waker // nil: whoever waits looks by itself
	checkURL  func(rawURL string) error
	log       *slog.Logger
}

// TurnReplied says what became of a reply.
type TurnReplied struct {
	TurnID    uuid.UUID `json:"turnId" format:"uuid" required:"true"`
	Parts     int       `json:"parts" required:"true" doc:"messages that are sent for it"`
	Duplicate bool      `json:"duplicate" required:"true" doc:"the same reply was taken before: nothing is sent twice"`
}

// Reply takes the answer of an agent that accepted the turn. It is taken once,
// within the agent's time from the moment it was asked, also before its 202 was
// read. The same reply again is answered alike; any other is a KindConflict.
func (s *Turns) Reply(ctx context.Context, who *omni.APIKey, id uuid.UUID, answer omni.AgentAnswer) (*TurnReplied, error) {
	owner, channel, err := s.store.TurnOwner(ctx, who.TenantID, id)
	if err != nil {
		return nil, orNotFound(err, "turn")
	}
	instance, err := visibleInstance(ctx, s.instances, who, owner)
	if refused, ok := errors.AsType[*Error](err); ok && refused.Kind == KindNotFound {
		return nil, notFound("turn")
	}
	if err != nil {
		return nil, err
	}
	stored, err := s.answer(instance, channel, answer)
	if err != nil {
		return nil, err
	}
	if err := s.act(ctx, id, channel, answer, &stored); err != nil {
		return nil, err
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encoding a reply: %w", err)
	}
	hash := sha256.Sum256(body)
	r, err := s.store.ReplyTurn(ctx, who.TenantID, id, stored, hash[:], omni.DeliverWithin)
	if err != nil {
		return nil, err
	}
	if err := replyRefusal(r.State); err != nil {
		return nil, err
	}
	s.wake(ctx, r.WorkflowID)
	return &TurnReplied{TurnID: id, Parts: r.Parts, Duplicate: r.State == omni.ReplyDuplicate}, nil
}

// act adds what is wanted beside the messages of a reply.
func (s *Turns) act(ctx context.Context, id uuid.UUID, channel string, answer omni.AgentAnswer, stored *omni.Answer) error {
	reply := answer.Reply()
	if reply.Usage != (omni.AgentUsage{}) {
		stored.Details["usage"] = reply.Usage
	}
	if len(reply.Actions) == 0 {
		return nil
	}
	batch, err := s.store.TurnBatch(ctx, id, 0)
	if err != nil {
		return err
	}
	c, ok := channels.Lookup(channel)
	stored.Act(reply.Actions, batch, ok && c.Info().Capabilities.React)
	stored.Details["actions"] = stored.Actions
	return nil
}

// answer makes the messages of a reply.
func (s *Turns) answer(instance *omni.Instance, channel string, answer omni.AgentAnswer) (omni.Answer, error) {
	silent := strings.TrimSpace(answer.Text) == "" && len(answer.Parts) == 0
	if silent && len(omni.ParseActions(answer.Actions)) == 0 {
		return omni.Answer{}, invalid("text", "is required, or parts or actions")
	}
	var caps channels.Capabilities
	if c, ok := channels.Lookup(channel); ok {
		caps = c.Info().Capabilities
	}
	reply := answer.Reply()
	bubbles, degraded, err := reply.Bubbles(omni.PartsOptions{Caps: caps, Auto: instance.Settings.Messaging.EnableAutoSplit, CheckURL: s.checkURL})
	if fault, ok := errors.AsType[*omni.PartFault](err); ok {
		return omni.Answer{}, invalid(fault.Field, fault.Reason)
	}
	if err != nil {
		return omni.Answer{}, err
	}
	if len(bubbles) == 0 && !silent {
		return omni.Answer{}, invalid("text", "shows nothing")
	}
	details := map[string]any{"later": true}
	if degraded > 0 {
		details["partsInWords"] = degraded
	}
	return omni.Answer{Text: reply.Said(), Parts: bubbles, Details: details}, nil
}

// wake hurries the workflow that waits; it looks by itself later.
func (s *Turns) wake(ctx context.Context, workflow string) {
	if s.waker == nil || workflow == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.waker.Signal(ctx, workflow, activities.SignalWake); err != nil {
		s.log.WarnContext(ctx, "waking a turn that waits for its agent", "workflow_id", workflow, "error", err)
	}
}

// replyRefusal says why a reply is not taken, nil if it is.
func replyRefusal(state omni.TurnReplyState) error {
	conflict := func(code, detail string) error { return &Error{Kind: KindConflict, Code: code, Detail: detail} }
	switch state {
	case omni.ReplyAccepted, omni.ReplyDuplicate:
		return nil
	case omni.ReplyUnknown:
		return notFound("turn")
	case omni.ReplyAnswered:
		return conflict(CodeAnswered, "the turn has an answer already")
	case omni.ReplyLate:
		return conflict(CodeReplyLate, "the agent's timeoutSeconds have passed since it was asked")
	case omni.ReplyNotAsked:
		return conflict(CodeNotAwaited, "no agent that answers later was asked in this turn")
	default:
		return conflict(CodeTurnOver, "the turn is over: cancelled, interrupted or failed")
	}
}

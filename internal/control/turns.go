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
	TurnOwner(ctx context.Context, tenant string, turn uuid.UUID) (omni.TurnOwner, error)
	Agent(ctx context.Context, id uuid.UUID) (*omni.Agent, error)
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
	spent     Spending // nil: nobody counts
	log       *slog.Logger
}

// Spending hears what an agent says its answer took; cost is nil where it is
// not known.
type Spending func(ctx context.Context, provider, model string, used omni.AgentUsage, cost *omni.Cost)

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
	owner, err := s.store.TurnOwner(ctx, who.TenantID, id)
	if err != nil {
		return nil, orNotFound(err, "turn")
	}
	instance, err := visibleInstance(ctx, s.instances, who, owner.InstanceID)
	if refused, ok := errors.AsType[*Error](err); ok && refused.Kind == KindNotFound {
		return nil, notFound("turn")
	}
	if err != nil {
		return nil, err
	}
	reply := answer.Reply()
	stored, err := s.answer(instance, owner.Channel, &reply)
	if err != nil {
		return nil, err
	}
	if err := s.act(ctx, id, owner.Channel, &reply, &stored); err != nil {
		return nil, err
	}
	count, err := s.account(ctx, instance, owner.Agent, reply.Usage, &stored)
	if err != nil {
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
	if r.State == omni.ReplyAccepted {
		count(context.WithoutCancel(ctx))
	}
	s.wake(ctx, r.WorkflowID)
	return &TurnReplied{TurnID: id, Parts: r.Parts, Duplicate: r.State == omni.ReplyDuplicate}, nil
}

// account adds what the agent says the answer took, and what that cost. count
// counts it, once the reply is taken.
func (s *Turns) account(ctx context.Context, instance *omni.Instance, agent string, used omni.AgentUsage,
	stored *omni.Answer) (count func(context.Context), err error) {
	if used == (omni.AgentUsage{}) {
		return func(context.Context) {}, nil
	}
	answering, err := activities.Answering(ctx, agentReader{s.store}, instance, agent)
	if err != nil {
		return nil, err
	}
	var by omni.AgentConfig
	if answering.Settings.Agent != nil {
		by = *answering.Settings.Agent
	}
	cost := omni.CostOf(by, used)
	stored.Details["usage"] = used
	if cost != nil {
		stored.Details["cost"] = cost
	}
	return func(ctx context.Context) {
		if s.spent != nil {
			s.spent(ctx, by.Provider, by.Model, used, cost)
		}
	}, nil
}

// agentReader is the store as it is asked for agents elsewhere.
type agentReader struct{ store TurnStore }

func (r agentReader) Get(ctx context.Context, id uuid.UUID) (*omni.Agent, error) {
	return r.store.Agent(ctx, id)
}

// act adds what is wanted beside the messages of a reply.
func (s *Turns) act(ctx context.Context, id uuid.UUID, channel string, reply *omni.AgentReply, stored *omni.Answer) error {
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
func (s *Turns) answer(instance *omni.Instance, channel string, reply *omni.AgentReply) (omni.Answer, error) {
	silent := strings.TrimSpace(reply.Text) == "" && len(reply.Parts) == 0
	if silent && len(reply.Actions) == 0 {
		return omni.Answer{}, invalid("text", "is required, or parts or actions")
	}
	var caps channels.Capabilities
	if c, ok := channels.Lookup(channel); ok {
		caps = c.Info().Capabilities
	}
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

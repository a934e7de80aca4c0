package turn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// Store is what the steps need of the database.
type Store interface {
	InboundMessage(ctx context.Context, id uuid.UUID) (*omni.InboundMessage, error)
	JoinTurn(ctx context.Context, p omni.JoinParams) (omni.TurnView, error)
	CloseTurn(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int, c omni.ClosingParams, a omni.Attempt) (omni.TurnView, error)
	YieldTurn(ctx context.Context, p omni.YieldParams) (omni.TurnView, error)
	// WroteMessage reports whether the account wrote the message of that platform id in the chat.
	WroteMessage(ctx context.Context, instance, chat uuid.UUID, externalID string) (bool, error)
	// ReadyTurn names the workflow that waits for the message's media, "" for none.
	ReadyTurn(ctx context.Context, chat, message uuid.UUID, workflowID string) (v omni.TurnView, wake string, err error)
	FinishTurn(ctx context.Context, p omni.FinishParams) (outcome string, wake []string, err error)
	// YieldedTo names the turn that took the messages of another, and its leader.
	YieldedTo(ctx context.Context, turn uuid.UUID) (heir, leader uuid.NullUUID, err error)
	ResumeDueChats(ctx context.Context, limit int) (int, error)
	OverdueTurns(ctx context.Context, only uuid.NullUUID, limit int) ([]omni.SuspectTurn, error)
	PostponeTurn(ctx context.Context, turn uuid.UUID, by time.Duration) error
	StrandedMessages(ctx context.Context, olderThan time.Duration, limit int) ([]omni.StrandedMessage, error)
	// UnparkTurns reopens held turns of which nothing is unknown any more.
	UnparkTurns(ctx context.Context, limit int) ([]omni.SuspectTurn, error)
	AdoptTurn(ctx context.Context, t omni.SuspectTurn, newWorkflowID string) (epoch int, ok bool, err error)
	// ResetByMessage begins the chat's session anew, once; the message is not answered.
	ResetByMessage(ctx context.Context, chat, messageID uuid.UUID, workflowID, reason string) (omni.TurnView, error)
	// TurnAgent reads which agent answers a turn.
	TurnAgent(ctx context.Context, turn uuid.UUID) (string, error)
	// FindSuggestions looks for persons that may be one among accounts that are new, and counts them.
	FindSuggestions(ctx context.Context, limit int) (int, error)
	// MoveMessages goes on with what merging persons has left to do, about as many messages as limit.
	MoveMessages(ctx context.Context, limit int) error
	FollowUpStore
}

// Instances reads instances, usually from memory.
type Instances interface {
	Get(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// Quick knows which agents have been quick of late.
type Quick interface {
	Agent(ctx context.Context, inst *omni.Instance) bool
}

// Typing knows who types.
type Typing interface {
	TypingIn(ctx context.Context, chat uuid.UUID) ([]omni.TypingMark, error)
}

// Engine is what the steps need of Temporal.
type Engine interface {
	// Signal delivers a signal; a workflow that is gone is no error.
	Signal(ctx context.Context, workflowID, signal string) error
	// Running reports whether the workflow is open.
	Running(ctx context.Context, workflowID string) (bool, error)
	// StartTurn starts the workflow that goes on with an adopted turn.
	StartTurn(ctx context.Context, t activities.TurnRef) error
	// StartFollowUp starts the workflow of a follow-up, after delay.
	StartFollowUp(ctx context.Context, in activities.FollowUpInput, delay time.Duration) error
	// StartStranded starts the workflow of a message; one that has it is no error.
	StartStranded(ctx context.Context, m omni.StrandedMessage) error
}

// Cancels hurries the end of a call whose turn was interrupted. The row has
// decided; a cancel that is lost costs nothing but time.
type Cancels interface {
	PublishCancel(ctx context.Context, turnID uuid.UUID) error
}

// Activities implements the steps.
type Activities struct {
	Store     Store
	Instances Instances
	Agents    activities.Agents // nil: there are only instances' own
	Quick     Quick
	Typing    Typing
	Engine    Engine
	AgentHere bool // this process has the agent role too
	Process   string
	Cancels   Cancels
}

// Tunables of the steps.
const (
	// answerSlack is added to the agent's timeout before a turn is suspect.
	answerSlack = 30 * time.Second
	// shortWait is waited out inside the step: a message on its way into the
	// database is worth a few milliseconds, not a timer.
	shortWait  = 25 * time.Millisecond
	shortTries = 8
	// typingWithin is how long the question who types may take.
	typingWithin = time.Second
)

// view turns what the database said into what the workflow sees. Refs of the
// configuration are fixed here, when the turn closes.
func (a *Activities) view(ctx context.Context, v omni.TurnView, inst *omni.Instance) (activities.TurnView, error) {
	out := activities.TurnView{State: activities.TurnState(v.State), TurnID: v.TurnID, Epoch: v.Epoch, Leader: v.Leader,
		Wait: v.Wait, Outcome: v.Outcome, Messages: v.Messages, Answered: v.Answered, Interrupt: v.Interrupt}
	if v.Agent != omni.InstanceAgent {
		out.Agent = v.Agent
	}
	if out.State == activities.StateClosed {
		inst, err := activities.Answering(ctx, a.Agents, inst, v.Agent)
		if err != nil {
			return out, err
		}
		agent := agentOf(inst)
		out.QuickAgent = a.Quick.Agent(ctx, inst)
		out.AgentTimeout = time.Duration(agent.TimeoutSeconds) * time.Second
		out.AgentHere, out.Process = a.AgentHere, a.Process
		out.AgentRetryFor = time.Duration(agent.RetryForSeconds) * time.Second
	}
	return out, nil
}

// answering is the instance of a turn (base), and the same with the agent that
// answers that turn. Who adopts a turn is not told which: then the row says it.
func (a *Activities) answering(ctx context.Context, turn activities.TurnRef) (base, inst *omni.Instance, err error) {
	if base, err = a.instance(ctx, turn.InstanceID); err != nil {
		return nil, nil, err
	}
	agent := turn.Agent
	if agent == "" && (base.Settings.Routed || base.Settings.AgentID != nil) {
		if agent, err = a.Store.TurnAgent(ctx, turn.TurnID); err != nil && !errors.Is(err, omni.ErrNotFound) {
			return nil, nil, err
		}
	}
	inst, err = activities.Answering(ctx, a.Agents, base, agent)
	return base, inst, err
}

// instance reads an instance. One that was deleted while its messages were
// under way has no agent: what has not joined is not answered, and what has
// fails in the step that asks the agent.
func (a *Activities) instance(ctx context.Context, id uuid.UUID) (*omni.Instance, error) {
	inst, err := a.Instances.Get(ctx, id)
	if errors.Is(err, omni.ErrNotFound) {
		return &omni.Instance{ID: id, Settings: omni.DefaultSettings()}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading instance %s: %w", id, err)
	}
	return inst, nil
}

// agentOf returns the instance's agent, or the defaults where it was taken
// away while a turn was collecting.
func agentOf(inst *omni.Instance) omni.AgentConfig {
	if inst.Settings.Agent == nil {
		return omni.DefaultAgent()
	}
	return *inst.Settings.Agent
}

func closingParams(inst *omni.Instance) omni.ClosingParams {
	agent := agentOf(inst)
	return omni.ClosingParams{Provider: agent.Provider, MediaWithin: activities.MediaDeadline,
		AnswerWithin: time.Duration(agent.TimeoutSeconds)*time.Second + answerSlack}
}

// settle asks again while the answer is to wait for a moment only.
func settle(ctx context.Context, v omni.TurnView, again func() (omni.TurnView, error)) (omni.TurnView, error) {
	for range shortTries {
		if v.State != string(activities.StateWait) || v.Wait > shortWait {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(v.Wait):
		}
		var err error
		if v, err = again(); err != nil {
			return v, err
		}
	}
	return v, nil
}

package steps

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/activities/deliver"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/cli"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workers"
)

// The moments of a step.
const (
	before = "before"
	after  = "after"
)

// moment is a place in the pipeline where something may happen to the hub. A
// call names what it knows of Chat, Message and Platform.
type moment struct {
	When     string    `json:"when"`
	Point    string    `json:"point"` // the method of the store, or "Send", or "Edit"
	Chat     uuid.UUID `json:"chat"`
	Message  uuid.UUID `json:"message"`
	Platform string    `json:"platform"` // the platform's id of the chat
	Instance uuid.UUID `json:"instance"` // with Platform; none: of any instance
}

// is reports whether what happens now is the moment that was asked for.
func (m moment) is(now moment) bool {
	if m.When != now.When || m.Point != now.Point {
		return false
	}
	return now.Chat != uuid.Nil && m.Chat == now.Chat || now.Message != uuid.Nil && m.Message == now.Message ||
		now.Platform != "" && m.Platform == now.Platform && (m.Instance == uuid.Nil || m.Instance == now.Instance)
}

// probe is asked at every moment.
type probe func(ctx context.Context, m moment)

// hubOptions puts the probe into a hub.
func hubOptions(p probe) cli.HubOptions {
	return cli.HubOptions{Decorate: decorate(p), Control: func(d *control.Deps) { d.Engine = probedEngine{Engine: d.Engine, probe: p} }}
}

// decorate puts the probe between the steps and the world.
func decorate(p probe) func(*workers.Deps) {
	return func(d *workers.Deps) {
		d.Steps = probedStore{StepStore: d.Store, probe: p}
		d.Gateway = probedGateway{Gateway: d.Bus, probe: p}
	}
}

type probedStore struct {
	workers.StepStore
	probe probe
}

// around asks the probe before and after a call.
func (s probedStore) around(ctx context.Context, m moment, call func() error) error {
	m.When = before
	s.probe(ctx, m)
	if err := call(); err != nil {
		return err
	}
	m.When = after
	s.probe(ctx, m)
	return nil
}

func (s probedStore) InboundMessage(ctx context.Context, id uuid.UUID) (m *omni.InboundMessage, err error) {
	err = s.around(ctx, moment{Point: "InboundMessage", Message: id}, func() error {
		m, err = s.StepStore.InboundMessage(ctx, id)
		return err
	})
	return m, err
}

func (s probedStore) CheckMessage(ctx context.Context, id uuid.UUID, plan omni.AccessPlan, a omni.Attempt) (out *omni.AccessAnswer, err error) {
	err = s.around(ctx, moment{Point: "CheckMessage", Message: id}, func() error {
		out, err = s.StepStore.CheckMessage(ctx, id, plan, a)
		return err
	})
	return out, err
}

func (s probedStore) JoinTurn(ctx context.Context, p omni.JoinParams) (v omni.TurnView, err error) {
	err = s.around(ctx, moment{Point: "JoinTurn", Chat: p.ChatID, Message: p.MessageID}, func() error {
		v, err = s.StepStore.JoinTurn(ctx, p)
		return err
	})
	return v, err
}

func (s probedStore) CloseTurn(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int, c omni.ClosingParams,
	a omni.Attempt) (v omni.TurnView, err error) {
	err = s.around(ctx, moment{Point: "CloseTurn", Chat: chat}, func() error {
		v, err = s.StepStore.CloseTurn(ctx, chat, turn, workflowID, epoch, c, a)
		return err
	})
	return v, err
}

func (s probedStore) YieldTurn(ctx context.Context, p omni.YieldParams) (v omni.TurnView, err error) {
	err = s.around(ctx, moment{Point: "YieldTurn", Chat: p.ChatID}, func() error {
		v, err = s.StepStore.YieldTurn(ctx, p)
		return err
	})
	return v, err
}

func (s probedStore) AnswerTurn(ctx context.Context, chat, turn uuid.UUID, workflowID string, epoch int, ans omni.Answer,
	within time.Duration, a omni.Attempt) (state string, parts int, err error) {
	err = s.around(ctx, moment{Point: "AnswerTurn", Chat: chat}, func() error {
		state, parts, err = s.StepStore.AnswerTurn(ctx, chat, turn, workflowID, epoch, ans, within, a)
		return err
	})
	return state, parts, err
}

// AnswerAndClaim is the same moment: an answer is stored.
func (s probedStore) AnswerAndClaim(ctx context.Context, p omni.ClaimParams, ans omni.Answer, within time.Duration,
	a omni.Attempt) (state string, parts int, c omni.PartClaim, err error) {
	err = s.around(ctx, moment{Point: "AnswerTurn", Chat: p.ChatID}, func() error {
		state, parts, c, err = s.StepStore.AnswerAndClaim(ctx, p, ans, within, a)
		return err
	})
	return state, parts, c, err
}

func (s probedStore) GiveUpTurn(ctx context.Context, f omni.TurnFailure, a omni.Attempt) (state string, parts *int, err error) {
	err = s.around(ctx, moment{Point: "GiveUpTurn", Chat: f.ChatID}, func() error {
		state, parts, err = s.StepStore.GiveUpTurn(ctx, f, a)
		return err
	})
	return state, parts, err
}

func (s probedStore) ClaimPart(ctx context.Context, p omni.ClaimParams) (c omni.PartClaim, err error) {
	err = s.around(ctx, moment{Point: "ClaimPart", Chat: p.ChatID}, func() error {
		c, err = s.StepStore.ClaimPart(ctx, p)
		return err
	})
	return c, err
}

func (s probedStore) ReceiptPart(ctx context.Context, p omni.ReceiptParams) (finished bool, wake []string, err error) {
	err = s.around(ctx, moment{Point: "ReceiptPart", Chat: p.ChatID}, func() error {
		finished, wake, err = s.StepStore.ReceiptPart(ctx, p)
		return err
	})
	return finished, wake, err
}

func (s probedStore) ClaimLive(ctx context.Context, c omni.LiveClaim) (p omni.LivePart, err error) {
	err = s.around(ctx, moment{Point: "ClaimLive", Chat: c.ChatID}, func() error {
		p, err = s.StepStore.ClaimLive(ctx, c)
		return err
	})
	return p, err
}

func (s probedStore) ShownLive(ctx context.Context, t omni.LiveText) (mine bool, err error) {
	err = s.around(ctx, moment{Point: "ShownLive", Chat: t.ChatID}, func() error {
		mine, err = s.StepStore.ShownLive(ctx, t)
		return err
	})
	return mine, err
}

func (s probedStore) SettleLive(ctx context.Context, chat, id uuid.UUID, externalID, reason string, deleted bool) error {
	return s.around(ctx, moment{Point: "SettleLive", Chat: chat, Message: id}, func() error {
		return s.StepStore.SettleLive(ctx, chat, id, externalID, reason, deleted)
	})
}

func (s probedStore) GateTurn(ctx context.Context, turn uuid.UUID, workflowID string, epoch int, d omni.GateDecision) (mine bool, err error) {
	err = s.around(ctx, moment{Point: "GateTurn", Message: turn}, func() error {
		mine, err = s.StepStore.GateTurn(ctx, turn, workflowID, epoch, d)
		return err
	})
	return mine, err
}

func (s probedStore) FinishTurn(ctx context.Context, p omni.FinishParams) (outcome string, wake []string, err error) {
	err = s.around(ctx, moment{Point: "FinishTurn", Chat: p.ChatID}, func() error {
		outcome, wake, err = s.StepStore.FinishTurn(ctx, p)
		return err
	})
	return outcome, wake, err
}

func (s probedStore) ResetByMessage(ctx context.Context, chat, id uuid.UUID, workflowID, reason string) (v omni.TurnView, err error) {
	err = s.around(ctx, moment{Point: "ResetByMessage", Chat: chat, Message: id}, func() error {
		v, err = s.StepStore.ResetByMessage(ctx, chat, id, workflowID, reason)
		return err
	})
	return v, err
}

// The turn that a follow-up belongs to stands in the place of a message.
func (s probedStore) UnarmedFollowUps(ctx context.Context, turn uuid.UUID) (list []omni.PendingFollowUp, err error) {
	err = s.around(ctx, moment{Point: "UnarmedFollowUps", Message: turn}, func() error {
		list, err = s.StepStore.UnarmedFollowUps(ctx, turn)
		return err
	})
	return list, err
}

func (s probedStore) ArmFollowUp(ctx context.Context, turn uuid.UUID, n int) error {
	return s.around(ctx, moment{Point: "ArmFollowUp", Message: turn}, func() error { return s.StepStore.ArmFollowUp(ctx, turn, n) })
}

func (s probedStore) ClaimFollowUp(ctx context.Context, c omni.FollowUpClaim) (v omni.TurnView, err error) {
	err = s.around(ctx, moment{Point: "ClaimFollowUp", Message: c.TurnID}, func() error {
		v, err = s.StepStore.ClaimFollowUp(ctx, c)
		return err
	})
	return v, err
}

type probedGateway struct {
	deliver.Gateway
	probe probe
}

func (g probedGateway) Send(ctx context.Context, channelType string, instanceID uuid.UUID, op channels.Operation, out message.Outbound,
	deadline time.Time) (message.Receipt, error) {
	m := moment{When: before, Point: "Send", Platform: out.Chat.ID, Instance: instanceID}
	if op == channels.OpEdit {
		m.Point = "Edit"
	}
	g.probe(ctx, m)
	receipt, err := g.Gateway.Send(ctx, channelType, instanceID, op, out, deadline)
	m.When = after
	g.probe(ctx, m)
	return receipt, err
}

// probedEngine asks the probe around the start of a retry that is committed.
type probedEngine struct {
	control.Engine
	probe probe
}

func (e probedEngine) StartTurn(ctx context.Context, ref activities.TurnRef) error {
	m := moment{When: before, Point: "RetryTurn", Chat: ref.ChatID}
	e.probe(ctx, m)
	err := e.Engine.StartTurn(ctx, ref)
	m.When = after
	e.probe(ctx, m)
	return err
}

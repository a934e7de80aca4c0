package omni

import (
	"github.com/omnihub/omni/channels/message"
)

// Admission is what an instance's settings alone decide about an inbound
// event. It is fixed with the event's row, so that what only has to be
// recorded costs no workflow.
type Admission struct {
	Begins bool            // a workflow goes on with it
	Status Status          // what it is recorded with
	Reason string          // why it is not begun
	Access *AccessDecision // nil: access.Check decides
}

// Admit decides about a recorded event. It looks at nothing that changes with
// time, so everybody who asks under the same settings is told the same.
func Admit(s InstanceSettings, e *Envelope) Admission {
	in := &e.Event
	if in.IsFromMe || in.Kind != message.KindMessage && in.Kind != message.KindReaction {
		return Admission{}
	}
	m := NewInboundMessage(e)
	a := Admission{Begins: true, Status: StatusReceived}
	if in.Kind == message.KindMessage && accessDisabled(s.Access.Mode) {
		d := DefaultAccess(s.Access.Mode)
		a.Access = &d
	}
	refused := Refuse(s, m, e.ReceivedAt)
	switch {
	case refused == NotRefused, refused == RefusedNotOurs, refused == RefusedReset: // what a reaction is on, the workflow finds out
	case refused == RefusedTooOld, in.Kind == message.KindReaction,
		// Nobody answers, nobody has to decide about access, nothing is to be fetched.
		refused == RefusedNoAgent && a.Access != nil && len(in.Content.Media) == 0:
		a.Begins, a.Status, a.Reason = false, StatusIgnored, string(refused)
	default: // the workflow finds it out, and says so
	}
	return a
}

// NewInboundMessage is the message of an envelope as it is recorded; the
// person is known once it is.
func NewInboundMessage(e *Envelope) *InboundMessage {
	in := &e.Event
	m := &InboundMessage{ID: e.MessageID, Status: StatusReceived, Kind: in.Kind, FromMe: in.IsFromMe, SenderID: in.Sender.ID,
		Text: in.Content.Text, TargetExternalID: in.ReplyTo, Content: in.Content, Facts: FactsOf(in), SentAt: in.Timestamp}
	if in.Kind == message.KindReaction {
		m.TargetExternalID = in.TargetID
	}
	return m
}

func accessDisabled(mode string) bool { return mode == "" || mode == AccessDisabled }

// DefaultAccess is the decision where no rule exists. The decisions are those
// of access.Check.
func DefaultAccess(mode string) AccessDecision {
	switch mode {
	case AccessAllowlist:
		return AccessDecision{Mode: mode, Decision: AccessDeny, Reason: "no rule allows"}
	case AccessPairing:
		return AccessDecision{Mode: mode, Decision: AccessPair, Reason: "not paired"}
	case AccessBlocklist:
		return AccessDecision{Mode: mode, Decision: AccessAllow, Reason: "no rule denies"}
	default:
		return AccessDecision{Mode: AccessDisabled, Decision: AccessAllow, Reason: "access control is disabled"}
	}
}

package access_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/activities/access"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// rows stands in for the database.
type rows struct {
	message  omni.InboundMessage
	question omni.AccessQuestion
	answer   omni.AccessAnswer
	asked    int
	plans    []omni.AccessPlan
	marked   []uuid.UUID
}

func (r *rows) InboundMessage(context.Context, uuid.UUID) (*omni.InboundMessage, error) {
	return &r.message, nil
}

func (r *rows) AccessQuestion(context.Context, uuid.UUID) (*omni.AccessQuestion, error) {
	r.asked++
	return &r.question, nil
}

func (r *rows) CheckMessage(_ context.Context, _ uuid.UUID, p omni.AccessPlan, _ omni.Attempt) (*omni.AccessAnswer, error) {
	r.plans = append(r.plans, p)
	return &r.answer, nil
}

func (r *rows) MarkOutboundStarted(_ context.Context, _ string, id uuid.UUID) error {
	r.marked = append(r.marked, id)
	return nil
}

type instances struct {
	media omni.MediaConfig
	err   error
}

func (i instances) Get(context.Context, uuid.UUID) (*omni.Instance, error) {
	return &omni.Instance{Settings: omni.InstanceSettings{Media: i.media}}, i.err
}

type engine struct {
	started []omni.OutboundAccepted
	err     error
}

func (e *engine) StartAccepted(_ context.Context, m omni.OutboundAccepted) error {
	e.started = append(e.started, m)
	return e.err
}

func world() (*rows, *engine, *access.Activities) {
	mode := omni.AccessBlocklist
	r := &rows{message: omni.InboundMessage{Kind: message.KindMessage}, question: omni.AccessQuestion{Mode: &mode},
		answer: omni.AccessAnswer{AccessDecision: omni.AccessDecision{Decision: omni.AccessAllow}}}
	e := &engine{}
	return r, e, &access.Activities{Store: r, Instances: instances{}, Engine: e}
}

func TestCheckLeavesADecisionAlone(t *testing.T) {
	t.Parallel()
	r, _, a := world()
	rule := uuid.NullUUID{UUID: uuid.New(), Valid: true}
	r.message.Access = &omni.AccessDecision{Decision: omni.AccessDeny, RuleID: rule}
	a.Instances = instances{media: omni.MediaConfig{ProcessOnBlocked: true}}
	out, err := a.Check(t.Context(), activities.CheckInput{})
	require.NoError(t, err)
	require.Equal(t, activities.CheckOutput{Decision: activities.Deny, RuleID: rule, MediaAnyway: true}, out)
	require.Zero(t, r.asked)
	require.Empty(t, r.plans)
	a.Instances = instances{err: omni.ErrNotFound}
	out, err = a.Check(t.Context(), activities.CheckInput{})
	require.NoError(t, err)
	require.False(t, out.MediaAnyway, "of an instance that is gone")
}

// Rules that came with the message are used while they are fresh: a step that
// is tried again later decides by those of then.
func TestCheckReadsFreshRules(t *testing.T) {
	t.Parallel()
	r, _, a := world()
	mode := omni.AccessAllowlist
	r.message.Question = &omni.AccessQuestion{Mode: &mode, ReadAt: time.Now()}
	_, err := a.Check(t.Context(), activities.CheckInput{})
	require.NoError(t, err)
	require.Zero(t, r.asked)
	r.message.Question.ReadAt = time.Now().Add(-time.Minute)
	_, err = a.Check(t.Context(), activities.CheckInput{})
	require.NoError(t, err)
	require.Equal(t, 1, r.asked)
	r.message.Question = nil
	_, err = a.Check(t.Context(), activities.CheckInput{})
	require.NoError(t, err)
	require.Equal(t, 2, r.asked)
	require.Equal(t, []string{omni.AccessAllowlist, omni.AccessBlocklist, omni.AccessBlocklist}, []string{r.plans[0].Mode, r.plans[1].Mode, r.plans[2].Mode})
}

func TestCheckSendsWhatIsSaid(t *testing.T) {
	t.Parallel()
	r, e, a := world()
	said := uuid.New()
	r.answer = omni.AccessAnswer{AccessDecision: omni.AccessDecision{Decision: omni.AccessDeny}, Said: uuid.NullUUID{UUID: said, Valid: true}}
	ref := activities.MessageRef{TenantID: "t", InstanceID: uuid.New(), Channel: "custom", ChatID: uuid.New(), MessageID: uuid.New()}
	out, err := a.Check(t.Context(), activities.CheckInput{Message: ref})
	require.NoError(t, err)
	require.Equal(t, activities.Deny, out.Decision)
	require.Equal(t, []omni.OutboundAccepted{{MessageID: said, TenantID: "t", InstanceID: ref.InstanceID, Channel: "custom", ChatID: ref.ChatID,
		Status: omni.StatusQueued}}, e.started)
	require.Equal(t, []uuid.UUID{said}, r.marked)
	e.err = errors.New("Temporal is away")
	_, err = a.Check(t.Context(), activities.CheckInput{Message: ref})
	require.ErrorIs(t, err, e.err)
	require.Len(t, r.marked, 1, "what is not started is not said to be")
}

package turn_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/activities/turn"
	"github.com/omnihub/omni/internal/omni"
)

// left is what a sweep finds to do: two of everything.
type left struct {
	turn.Store
	turns    []omni.SuspectTurn
	parked   []omni.SuspectTurn
	unarmed  []omni.PendingFollowUp
	stranded []omni.StrandedMessage
	down     bool // nothing can be listed

	adopted []uuid.UUID
	armed   []uuid.UUID
	done    []string
}

var errDown = errors.New("the database is away")

func (l *left) list(what string) error {
	l.done = append(l.done, what)
	if l.down {
		return errDown
	}
	return nil
}

func (l *left) OverdueTurns(context.Context, uuid.NullUUID, int) ([]omni.SuspectTurn, error) {
	return l.turns, l.list("turns")
}

func (l *left) AdoptTurn(_ context.Context, t omni.SuspectTurn, _ string) (int, bool, error) {
	l.adopted = append(l.adopted, t.ID)
	return t.Epoch + 1, true, nil
}

func (l *left) UncheckedFollowUps(context.Context, int) ([]omni.PendingFollowUp, error) {
	return l.unarmed, l.list("follow-ups")
}

func (l *left) ArmFollowUp(_ context.Context, id uuid.UUID, _ int) error {
	l.armed = append(l.armed, id)
	return nil
}

func (l *left) UnparkTurns(context.Context, int) ([]omni.SuspectTurn, error) {
	return l.parked, l.list("held replies")
}

func (l *left) StrandedMessages(context.Context, time.Duration, int) ([]omni.StrandedMessage, error) {
	return l.stranded, l.list("messages")
}

func (l *left) ResumeDueChats(context.Context, int) (int, error)  { return 3, l.list("takeovers") }
func (l *left) FindSuggestions(context.Context, int) (int, error) { return 4, l.list("suggestions") }
func (l *left) MoveMessages(context.Context, int) error           { return l.list("moves") }

// failing is a Temporal that fails for some.
type failing struct {
	turn.Engine
	faulty  []uuid.UUID
	started []uuid.UUID
}

var errStart = errors.New("no such namespace")

func (f *failing) start(id uuid.UUID) error {
	if slices.Contains(f.faulty, id) {
		return errStart
	}
	f.started = append(f.started, id)
	return nil
}

func (f *failing) Running(context.Context, string) (bool, error) { return false, nil }

func (f *failing) StartTurn(_ context.Context, t activities.TurnRef) error { return f.start(t.TurnID) }

func (f *failing) StartFollowUp(_ context.Context, in activities.FollowUpInput, _ time.Duration) error {
	return f.start(in.TurnID)
}

func (f *failing) StartStranded(_ context.Context, m omni.StrandedMessage) error {
	return f.start(m.ID)
}

// What fails in a sweep would fail first in the next one too: it holds up
// neither what is like it nor what comes after it.
func TestWhatFailsInASweepHoldsNothingUp(t *testing.T) {
	t.Parallel()
	id := uuid.New
	l := &left{turns: []omni.SuspectTurn{{ID: id()}, {ID: id()}}, parked: []omni.SuspectTurn{{ID: id()}, {ID: id()}},
		unarmed:  []omni.PendingFollowUp{{TurnID: id()}, {TurnID: id()}},
		stranded: []omni.StrandedMessage{{ID: id()}, {ID: id()}}}
	e := &failing{faulty: []uuid.UUID{l.turns[0].ID, l.unarmed[0].TurnID, l.parked[0].ID, l.stranded[0].ID}}
	a := &turn.Activities{Store: l, Engine: e}
	out, err := a.Sweep(t.Context(), activities.SweepInput{Limit: 10})
	require.ErrorIs(t, err, errStart)
	require.Equal(t, []uuid.UUID{l.turns[1].ID, l.unarmed[1].TurnID, l.parked[1].ID, l.stranded[1].ID}, e.started)
	require.Equal(t, []uuid.UUID{l.turns[0].ID, l.turns[1].ID}, l.adopted)
	require.Equal(t, []uuid.UUID{l.unarmed[1].TurnID}, l.armed, "what was not started is not said to be")
	all := []string{"turns", "follow-ups", "held replies", "messages", "takeovers", "suggestions", "moves"}
	require.Equal(t, all, l.done)
	require.Equal(t, activities.SweepOutput{Suspect: 2, Adopted: 1, Armed: 1, Begun: 1, Resumed: 3, Unparked: 2, Suggested: 4}, out)

	for range 10 {
		e.faulty = append(e.faulty, l.turns[0].ID)
		l.turns = append(l.turns, l.turns[0])
	}
	_, err = a.Sweep(t.Context(), activities.SweepInput{Limit: 20})
	require.ErrorContains(t, err, "and 8 more")

	l = &left{down: true}
	_, err = (&turn.Activities{Store: l, Engine: e}).Sweep(t.Context(), activities.SweepInput{})
	require.ErrorIs(t, err, errDown)
	require.Equal(t, all, l.done)
}

package turn_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/activities/turn"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// rows stands in for the database; what a test does not need is the embedded
// interface's, and panics.
type rows struct {
	turn.Store
	message omni.InboundMessage
	ours    map[string]bool
	looked  int
	joined  omni.JoinParams
	closing []omni.ClosingParams
	views   []omni.TurnView // of CloseTurn, one after the other
	wake    string
}

func (r *rows) InboundMessage(context.Context, uuid.UUID) (*omni.InboundMessage, error) {
	return &r.message, nil
}

func (r *rows) WroteMessage(_ context.Context, _, _ uuid.UUID, id string) (bool, error) {
	r.looked++
	return r.ours[id], nil
}

func (r *rows) JoinTurn(_ context.Context, p omni.JoinParams) (omni.TurnView, error) {
	r.joined = p
	return omni.TurnView{State: "follower"}, nil
}

func (r *rows) CloseTurn(_ context.Context, _, _ uuid.UUID, _ string, _ int, c omni.ClosingParams, _ omni.Attempt) (omni.TurnView, error) {
	r.closing = append(r.closing, c)
	v := r.views[0]
	r.views = r.views[1:]
	return v, nil
}

func (r *rows) ReadyTurn(context.Context, uuid.UUID, uuid.UUID, string) (omni.TurnView, string, error) {
	return omni.TurnView{State: "follower", Epoch: 1}, r.wake, nil
}

type instances struct{ settings omni.InstanceSettings }

func (i instances) Get(_ context.Context, id uuid.UUID) (*omni.Instance, error) {
	return &omni.Instance{ID: id, Settings: i.settings}, nil
}

type typing struct {
	marks []omni.TypingMark
	err   error
}

func (t typing) TypingIn(context.Context, uuid.UUID) ([]omni.TypingMark, error) {
	return t.marks, t.err
}

type quick struct{}

func (quick) Agent(context.Context, *omni.Instance) bool { return true }

func settings(change func(*omni.InstanceSettings)) omni.InstanceSettings {
	s := omni.DefaultSettings()
	agent := omni.DefaultAgent()
	s.Agent = &agent
	if change != nil {
		change(&s)
	}
	return s
}

// A reply to us, or a reaction on something of ours, is found out where the
// channel has not said it, and only where it matters.
func TestJoinLooksAtTheTarget(t *testing.T) {
	t.Parallel()
	group := omni.MessageFacts{ChatType: message.ChatGroup}
	thumb := omni.MessageFacts{ChatType: message.ChatGroup, Emoji: "👍"}
	reacts := settings(func(s *omni.InstanceSettings) { s.Messaging.Triggers.Reactions = []string{"👍"} })
	for name, tc := range map[string]struct {
		settings omni.InstanceSettings
		message  omni.InboundMessage
		want     omni.Refusal
		looked   int
	}{
		"reply to us":           {settings(nil), omni.InboundMessage{Kind: message.KindMessage, Facts: group, TargetExternalID: "ours"}, omni.NotRefused, 1},
		"reply to another":      {settings(nil), omni.InboundMessage{Kind: message.KindMessage, Facts: group, TargetExternalID: "theirs"}, omni.RefusedNotForUs, 1},
		"no reply":              {settings(nil), omni.InboundMessage{Kind: message.KindMessage, Facts: group}, omni.RefusedNotForUs, 0},
		"replies are off":       {settings(func(s *omni.InstanceSettings) { s.Messaging.Triggers.Reply = false }), omni.InboundMessage{Kind: message.KindMessage, Facts: group, TargetExternalID: "ours"}, omni.RefusedNotForUs, 1},
		"a DM":                  {settings(nil), omni.InboundMessage{Kind: message.KindMessage, TargetExternalID: "theirs"}, omni.NotRefused, 0},
		"reaction on ours":      {reacts, omni.InboundMessage{Kind: message.KindReaction, Facts: thumb, TargetExternalID: "ours"}, omni.NotRefused, 1},
		"reaction on another's": {reacts, omni.InboundMessage{Kind: message.KindReaction, Facts: thumb, TargetExternalID: "theirs"}, omni.RefusedNotOurs, 1},
		"other reaction":        {settings(nil), omni.InboundMessage{Kind: message.KindReaction, Facts: thumb, TargetExternalID: "ours"}, omni.RefusedReaction, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &rows{message: tc.message, ours: map[string]bool{"ours": true}}
			a := &turn.Activities{Store: r, Instances: instances{tc.settings}}
			_, err := a.Join(t.Context(), activities.JoinInput{})
			require.NoError(t, err)
			require.Equal(t, string(tc.want), r.joined.Refuse)
			require.Equal(t, tc.looked, r.looked)
			require.False(t, r.message.Facts.ReplyToMe, "what is kept in memory is shared")
		})
	}
}

func TestCloseAsksWhoTypes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := &rows{views: []omni.TurnView{{State: "wait", Wait: time.Millisecond}, {State: "wait", Wait: time.Minute}}}
	a := &turn.Activities{Store: r, Instances: instances{settings(nil)}, Typing: typing{marks: []omni.TypingMark{
		{SenderID: "ana", Seq: 7, At: now}, {SenderID: "bob", Seq: 3, At: now.Add(-omni.TypingFor)}}}}
	v, err := a.Close(t.Context(), activities.CloseInput{})
	require.NoError(t, err)
	require.Equal(t, activities.StateWait, v.State)
	require.Len(t, r.closing, 2, "a short wait is waited out")
	for _, c := range r.closing {
		require.Len(t, c.Typing, 1)
		require.Equal(t, "ana", c.Typing[0].SenderID)
		require.Equal(t, uint64(7), c.Typing[0].Seq)
		require.InDelta(t, omni.TypingFor.Milliseconds(), c.Typing[0].LeftMs, 2000)
	}
}

// Typing only ever puts an answer off: where nobody can say who types, the
// turn closes.
func TestCloseWithoutKnowingWhoTypes(t *testing.T) {
	t.Parallel()
	r := &rows{views: []omni.TurnView{{State: "closed"}}}
	a := &turn.Activities{Store: r, Instances: instances{settings(nil)}, Quick: quick{}, Typing: typing{err: errors.New("NATS is away")}}
	v, err := a.Close(t.Context(), activities.CloseInput{})
	require.NoError(t, err)
	require.Equal(t, activities.StateClosed, v.State)
	require.Empty(t, r.closing[0].Typing)
}

func TestReadyNamesWhoToWake(t *testing.T) {
	t.Parallel()
	for wake, want := range map[string][]string{"": nil, "message/a": {"message/a"}} {
		a := &turn.Activities{Store: &rows{wake: wake}, Instances: instances{settings(nil)}}
		out, err := a.Ready(t.Context(), activities.ReadyInput{})
		require.NoError(t, err)
		require.Equal(t, activities.StateFollower, out.Turn.State)
		require.Equal(t, want, out.Wake)
	}
}

package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

type awayStore struct{ scripted }

func (*awayStore) Ping(context.Context) error { return errors.New("away") }

func TestStarterBeginsAWorkflowForEachMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.event(message.KindMessage, "1", "c1", "hi")
	e.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	e.Event.Content.Media = []message.Media{{Type: message.TypeImage, URL: "http://x/y"}}
	seq := w.publish(e)
	engine := &fakeEngine{}
	s := w.starter(engine, fakeInstances{})
	w.awaitAcked(bus.ConsumerStarter, seq)
	require.NoError(t, s.Health(t.Context()))
	got := engine.inputs()
	require.Len(t, got, 1)
	require.WithinDuration(t, e.ReceivedAt, got[0].ReceivedAt, 0)
	got[0].ReceivedAt = e.ReceivedAt
	require.Equal(t, workflows.MessageInput{TenantID: "default", InstanceID: w.instance, Channel: "custom", ChatID: e.ChatID(),
		MessageID: e.MessageID, Kind: "message", Seq: seq, ExternalID: "1", ReceivedAt: e.ReceivedAt, Traceparent: e.Traceparent, MediaCount: 1}, got[0])
}

func TestStarterKnowsWhatBeginsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	settings := omni.DefaultSettings()
	agent := omni.DefaultAgent()
	settings.Agent = &agent
	settings.Messaging.Triggers.Reactions = []string{"👍"}
	settings.Messaging.ResetEmoji = "🧹"
	for _, kind := range message.Kinds() {
		if kind != message.KindMessage {
			w.publish(w.event(kind, "k", "c1", ""))
		}
	}
	own := w.event(message.KindMessage, "own", "c1", "me")
	own.Event.IsFromMe = true
	w.publish(own)
	w.publishRaw("poison")
	old, young := w.event(message.KindMessage, "old", "c1", ""), w.event(message.KindMessage, "young", "c1", "")
	old.Event.Backfill, young.Event.Backfill = true, true
	old.Event.Timestamp = time.Now().Add(-48 * time.Hour)
	w.publish(old)
	w.publish(young)
	var last uint64
	for id, reaction := range map[string]message.Reaction{"thumb": {Emoji: "👍"}, "broom": {Emoji: "🧹"}, "heart": {Emoji: "❤️"},
		"thumb taken off": {Emoji: "👍", Removed: true}} {
		e := w.event(message.KindReaction, id, "c1", "")
		e.Event.Content = message.Content{Type: message.TypeReaction, Reaction: &reaction}
		last = w.publish(e)
	}
	engine := &fakeEngine{}
	w.starter(engine, fakeInstances{&omni.Instance{ID: w.instance, Settings: settings}})
	w.awaitAcked(bus.ConsumerStarter, last)
	started := map[string]bool{}
	for _, in := range engine.inputs() {
		started[in.ExternalID] = true
	}
	require.Equal(t, map[string]bool{"young": true, "thumb": true, "broom": true}, started)
	require.Equal(t, 1, w.count("messages WHERE id = $1 AND direction = 'outbound' AND status = 'sent'", own.MessageID))
}

func TestStarterDoesNotLoseAMessageWhileTheEngineIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	engine := &fakeEngine{}
	engine.failing(func(in workflows.MessageInput) error {
		if in.ExternalID == "m3" {
			panic("boom")
		}
		return errAway
	})
	s := w.starter(engine, fakeInstances{})
	last := w.publishMany(30)
	require.Eventually(t, func() bool { return engine.attempts() > 40 }, 20*time.Second, 10*time.Millisecond)
	require.Error(t, s.Health(t.Context()))
	engine.failing(nil)
	w.awaitAcked(bus.ConsumerStarter, last)
	seen := map[string]bool{}
	for _, in := range engine.inputs() {
		seen[in.ExternalID] = true
	}
	require.Len(t, seen, 30)
	require.NoError(t, s.Health(t.Context()))
}

func TestStarterKeepsTheOrderOfAChat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.publishMany(200)
	engine := &fakeEngine{}
	w.starter(engine, fakeInstances{})
	w.awaitAcked(bus.ConsumerStarter, last)
	at := map[string]uint64{}
	for _, in := range engine.inputs() {
		chat := in.ChatID.String()
		require.Greater(t, in.Seq, at[chat])
		at[chat] = in.Seq
	}
	require.Len(t, at, 5)
}

func TestStarterAndRecorderDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	engine := &fakeEngine{}
	engine.failing(func(workflows.MessageInput) error { return errAway })
	w.starter(engine, fakeInstances{})
	w.recorder(w.store)
	last := w.publishMany(50)
	w.awaitFloor(last)
	require.Equal(t, 50, w.count("messages"))
	require.Empty(t, engine.inputs())
}

func TestWhatAKilledStarterHeldIsStartedSoon(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a redelivery")
	}
	w := newWorld(t)
	last := w.publishMany(5)
	c, err := w.bus.Consumer(t.Context(), bus.ConsumerStarter)
	require.NoError(t, err)
	held, err := c.Fetch(5)
	require.NoError(t, err)
	for range held.Messages() { //nolint:revive // taken and never acknowledged
	}
	engine := &fakeEngine{}
	w.starter(engine, fakeInstances{})
	began := time.Now()
	w.awaitAcked(bus.ConsumerStarter, last)
	require.Len(t, engine.inputs(), 5, fmt.Sprint(time.Since(began)))
	require.Less(t, time.Since(began), 12*time.Second)
}

func TestAStoppedStarterGivesBackWhatItDidNotBegin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, free := make(chan struct{}, 100), make(chan struct{})
	slow := &fakeEngine{}
	slow.failing(func(workflows.MessageInput) error {
		entered <- struct{}{}
		<-free
		return nil
	})
	first := w.starter(slow, fakeInstances{})
	last := w.publishMany(300)
	<-entered
	stopped := make(chan struct{})
	go func() { w.stop(first); close(stopped) }()
	engine := &fakeEngine{}
	w.starter(engine, fakeInstances{})
	close(free)
	<-stopped
	began := time.Now()
	w.awaitAcked(bus.ConsumerStarter, last)
	require.Less(t, time.Since(began), 5*time.Second, "well before an unacknowledged message comes again")
	seen := map[string]bool{}
	for _, in := range append(engine.inputs(), slow.inputs()...) {
		seen[in.ExternalID] = true
	}
	require.Len(t, seen, 300)
}

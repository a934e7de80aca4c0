package ingest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
)

func TestRecorderBringsTheStreamIntoTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.publishMany(700)
	r := w.recorder(w.store)
	w.awaitFloor(last)
	require.Equal(t, 700, w.count("messages"))
	require.Equal(t, 700, w.count("events WHERE type = 'message.received'"))
	w.awaitAcked(bus.ConsumerRecorder, last)
	require.NoError(t, r.Health(t.Context()))

	w.publish(w.event(message.KindEdit, "e1", "c0", "edited"))
	w.publish(w.event(message.KindReaction, "r1", "c0", ""))
	last = w.publish(w.event(message.KindTyping, "t1", "c0", ""))
	w.awaitFloor(last)
	require.Equal(t, 1, w.count("events WHERE type = 'message.edited'"))
	require.Equal(t, 1, w.count("messages WHERE kind = 'reaction'"))
	kv, err := w.bus.KV(t.Context(), bus.BucketTyping)
	require.NoError(t, err)
	_, err = kv.Get(t.Context(), omni.ChatID(w.instance, "c0").String())
	require.NoError(t, err)
}

func TestRecorderIsolatesPoison(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publishMany(60)
	poison := w.publish(w.event(message.KindMessage, "bad", "c1", "POISON"))
	garbage := w.publishRaw("\x00 not an event")
	last := w.publish(w.event(message.KindMessage, "after", "c1", "fine"))
	st := &scripted{Store: w.store}
	st.script(func(batch []omni.Envelope, _ uint64) error {
		if holds(batch, "POISON") {
			return fmt.Errorf("recording: %w", &pgconn.PgError{Code: "22P05", Message: "unsupported Unicode escape sequence"})
		}
		return nil
	})
	w.recorder(st)
	w.awaitFloor(last)
	w.awaitAcked(bus.ConsumerRecorder, last)
	require.Equal(t, 61, w.count("messages"))
	require.Equal(t, 2, w.count("dead_letters"))
	var input, failure string
	require.NoError(t, w.store.Pool().QueryRow(t.Context(), "SELECT input::text, error FROM dead_letters WHERE step = 'ingest.Record' AND message_id = $1",
		omni.TargetMessageID(w.instance, "bad")).Scan(&input, &failure))
	require.Contains(t, failure, "22P05")
	var kept struct {
		Seq      uint64        `json:"seq"`
		Envelope omni.Envelope `json:"envelope"`
	}
	require.NoError(t, json.Unmarshal([]byte(input), &kept))
	require.Equal(t, poison, kept.Seq)
	require.Equal(t, "POISON", kept.Envelope.Event.Content.Text)
	require.Equal(t, 1, w.count("dead_letters WHERE (input->>'seq')::bigint = $1 AND input ? 'payload'", garbage))
}

func TestRecorderWaitsForADatabaseInTrouble(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]error{
		"restart":      &pgconn.PgError{Code: "57P01", Message: "terminating connection"},
		"deadlock":     &pgconn.PgError{Code: "40P01", Message: "deadlock detected"},
		"not migrated": &pgconn.PgError{Code: "42P01", Message: "relation does not exist"},
		"cut":          pgconn.ErrConnClosed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tried := make(chan struct{}, 1000)
			st := &scripted{Store: w.store}
			st.script(func([]omni.Envelope, uint64) error { tried <- struct{}{}; return trouble })
			last := w.publishMany(10)
			r := w.recorder(st)
			for range 3 {
				<-tried
			}
			require.Error(t, r.Health(t.Context()))
			require.Zero(t, w.count("dead_letters"))
			c, err := w.bus.Consumer(t.Context(), bus.ConsumerRecorder)
			require.NoError(t, err)
			require.Zero(t, c.CachedInfo().AckFloor.Stream, "nothing is acknowledged")
			st.script(nil)
			w.awaitFloor(last)
			require.Equal(t, 10, w.count("messages"))
			require.Eventually(t, func() bool { return r.Health(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
		})
	}
}

func TestAPanicIsNotAcknowledgedAndHoldsTheFloor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := &scripted{Store: w.store}
	st.script(func(batch []omni.Envelope, _ uint64) error {
		if holds(batch, "PANIC") {
			panic("boom")
		}
		return nil
	})
	before := w.publishMany(5)
	bad := w.publish(w.event(message.KindMessage, "bad", "c1", "PANIC"))
	last := w.publish(w.event(message.KindMessage, "after", "c1", "fine"))
	w.recorder(st)
	require.Eventually(t, func() bool { return w.count("messages") == 6 }, 20*time.Second, 10*time.Millisecond)
	w.awaitFloor(before)
	floor, err := w.store.Floor(t.Context())
	require.NoError(t, err)
	require.Equal(t, bad-1, floor)
	require.Zero(t, w.count("dead_letters"))

	st.script(nil) // a better program
	w.awaitFloor(last)
	require.Equal(t, 7, w.count("messages"))
	w.awaitAcked(bus.ConsumerRecorder, last)
}

func TestTheNextRecorderLeavesNothingOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.publishMany(20)
	// A recorder that was killed with everything in its hands.
	c, err := w.bus.Consumer(t.Context(), bus.ConsumerRecorder)
	require.NoError(t, err)
	held, err := c.Fetch(20)
	require.NoError(t, err)
	n := 0
	for range held.Messages() {
		n++
	}
	require.Equal(t, 20, n)

	began := time.Now()
	w.recorder(w.store)
	w.awaitFloor(last)
	require.Less(t, time.Since(began), 15*time.Second, "it does not wait for the redelivery")
	require.Equal(t, 20, w.count("messages"))
	last = w.publish(w.event(message.KindMessage, "next", "c1", "x"))
	w.awaitFloor(last)
	require.Equal(t, 21, w.count("messages"))
}

func TestWhatASecondReaderTookIsRecordedAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.recorder(w.store)
	w.awaitFloor(w.publish(w.event(message.KindMessage, "first", "c1", "x")))
	// A stale recorder's pull takes some of the stream away.
	c, err := w.bus.Consumer(t.Context(), bus.ConsumerRecorder)
	require.NoError(t, err)
	it, err := c.Messages(jetstream.PullMaxMessages(1))
	require.NoError(t, err)
	defer it.Stop()
	last := w.publishMany(40)
	w.awaitFloor(last)
	require.Equal(t, 41, w.count("messages"))
}

func TestOnlyOneRecorderIsActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.recorder(w.open())
	w.awaitFloor(w.publish(w.event(message.KindMessage, "1", "c1", "x")))
	second := &scripted{Store: w.open()}
	b := w.recorder(second)
	require.Eventually(t, func() bool { return b.Health(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond, "another one is active")
	w.awaitFloor(w.publish(w.event(message.KindMessage, "2", "c1", "x")))
	second.mu.Lock()
	require.Empty(t, second.sizes)
	second.mu.Unlock()
	w.stop(a)
	w.awaitFloor(w.publish(w.event(message.KindMessage, "3", "c1", "x")))
	require.Equal(t, 3, w.count("messages"))
}

func TestUnknownFailuresAreNotBlamedOnTheMessageWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := &awayStore{scripted: scripted{Store: w.store}}
	tried := make(chan struct{}, 1000)
	st.script(func([]omni.Envelope, uint64) error { tried <- struct{}{}; return errors.New("strange") })
	last := w.publishMany(3)
	w.recorder(st)
	for range 3 {
		<-tried
	}
	require.Zero(t, w.count("dead_letters"))
	st.script(nil)
	w.awaitFloor(last)
	require.Equal(t, 3, w.count("messages"))
}

package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
	"github.com/omnihub/omni/workers/ingest"
	"github.com/omnihub/omni/workflows"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// world is a hub's database and NATS.
type world struct {
	t        *testing.T
	url      string
	store    *store.Store
	bus      *bus.Bus
	conn     *nats.Conn
	instance uuid.UUID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, url: testkit.Postgres(t), conn: testkit.NATS(t), instance: uuid.New()}
	w.store = w.open()
	b, err := bus.Open(t.Context(), w.conn, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	w.bus = b
	return w
}

func (w *world) open() *store.Store {
	w.t.Helper()
	s, err := store.Open(w.t.Context(), w.url, 0)
	require.NoError(w.t, err)
	w.t.Cleanup(s.Close)
	return s
}

func (w *world) event(kind message.Kind, id, chat, text string) *omni.Envelope {
	e := &omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: w.instance, Channel: "custom", ReceivedAt: time.Now().UTC(),
		Event: message.Inbound{ID: id, Kind: kind, Timestamp: time.Now().UTC(), TargetID: "target", Chat: message.Chat{ID: chat},
			Sender: message.Sender{ID: "u1"}, Content: message.Content{Type: message.TypeText, Text: text}}}
	e.MessageID = omni.MessageID(w.instance, e.ExternalKey())
	return e
}

func (w *world) publish(e *omni.Envelope) uint64 {
	w.t.Helper()
	seq, _, err := w.bus.PublishInbound(w.t.Context(), e)
	require.NoError(w.t, err)
	return seq
}

func (w *world) publishMany(n int) (last uint64) {
	w.t.Helper()
	for i := range n {
		last = w.publish(w.event(message.KindMessage, fmt.Sprint("m", i), fmt.Sprint("c", i%5), fmt.Sprint("text ", i)))
	}
	return last
}

// publishRaw puts anything on the stream.
func (w *world) publishRaw(payload string) uint64 {
	w.t.Helper()
	js, err := jetstream.New(w.conn)
	require.NoError(w.t, err)
	ack, err := js.Publish(w.t.Context(), "channel.inbound.default.custom."+w.instance.String(), []byte(payload))
	require.NoError(w.t, err)
	return ack.Sequence
}

// recorder starts one over the given store.
func (w *world) recorder(st ingest.RecorderStore) *ingest.Recorder {
	w.t.Helper()
	r := ingest.NewRecorder(ingest.RecorderDeps{Store: st, Instances: store.NewInstanceCache(w.store, time.Minute), Bus: w.bus, Log: slog.New(slog.DiscardHandler)})
	w.run(r)
	return r
}

func (w *world) starter(engine ingest.Engine, instances ingest.Instances) *ingest.Starter {
	w.t.Helper()
	s := ingest.NewStarter(ingest.StarterDeps{Engine: engine, Instances: instances, Own: w.store, Bus: w.bus, Log: slog.New(slog.DiscardHandler), Concurrency: 4})
	w.run(s)
	return s
}

type service interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

func (w *world) run(s service) {
	w.t.Helper()
	require.NoError(w.t, s.Start(w.t.Context()))
	w.t.Cleanup(func() { w.stop(s) })
}

func (w *world) stop(s service) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		w.t.Error(err)
	}
}

func (w *world) awaitFloor(want uint64) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		floor, err := w.store.Floor(w.t.Context())
		return err == nil && floor >= want
	}, 20*time.Second, 10*time.Millisecond, "floor %d", want)
}

func (w *world) count(query string, args ...any) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.store.Pool().QueryRow(w.t.Context(), "SELECT count(*) FROM "+query, args...).Scan(&n))
	return n
}

// awaitAcked returns when a consumer has nothing left.
func (w *world) awaitAcked(consumer string, upTo uint64) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		c, err := w.bus.Consumer(w.t.Context(), consumer)
		return err == nil && c.CachedInfo().AckFloor.Stream >= upTo && c.CachedInfo().NumAckPending == 0
	}, 20*time.Second, 20*time.Millisecond, "%s acknowledged %d", consumer, upTo)
}

// scripted is a store whose Record does as told before the real one may.
type scripted struct {
	*store.Store
	mu     sync.Mutex
	before func(batch []omni.Envelope, floor uint64) error
	sizes  []int
}

func (s *scripted) Record(ctx context.Context, batch []omni.Envelope, floor uint64) error {
	s.mu.Lock()
	s.sizes = append(s.sizes, len(batch))
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(batch, floor); err != nil {
			return err
		}
	}
	return s.Store.Record(ctx, batch, floor)
}

func (s *scripted) script(before func([]omni.Envelope, uint64) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func holds(batch []omni.Envelope, text string) bool {
	for i := range batch {
		if strings.Contains(batch[i].Event.Content.Text, text) {
			return true
		}
	}
	return false
}

var errAway = errors.New("engine away")

// fakeEngine remembers what was started.
type fakeEngine struct {
	mu      sync.Mutex
	fail    func(in workflows.MessageInput) error
	started []workflows.MessageInput
	tries   int
}

func (e *fakeEngine) StartMessage(_ context.Context, in workflows.MessageInput) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tries++
	if e.fail != nil {
		if err := e.fail(in); err != nil {
			return err
		}
	}
	e.started = append(e.started, in)
	return nil
}

func (e *fakeEngine) failing(fail func(workflows.MessageInput) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = fail
}

func (e *fakeEngine) inputs() []workflows.MessageInput {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]workflows.MessageInput(nil), e.started...)
}

func (e *fakeEngine) attempts() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tries
}

// fakeInstances knows one instance.
type fakeInstances struct{ in *omni.Instance }

func (f fakeInstances) Get(_ context.Context, id uuid.UUID) (*omni.Instance, error) {
	if f.in == nil || f.in.ID != id {
		return nil, omni.ErrNotFound
	}
	return f.in, nil
}

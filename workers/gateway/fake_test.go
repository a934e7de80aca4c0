package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/secret"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
	"github.com/omnihub/omni/workers/gateway"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// fakeChannel is a scripted platform.
type fakeChannel struct {
	sendFunc  func(ctx context.Context, out message.Outbound) (message.Receipt, error)
	startFunc func(ctx context.Context, cfg channels.Config, in channels.Sink) error
	typeFunc  func(ctx context.Context)
	fileFunc  func(ctx context.Context, ref string) (channels.FileLocation, error)
	caps      channels.Capabilities

	started chan *fakeSession
	stopped chan *fakeSession
}

func newFake() *fakeChannel {
	return &fakeChannel{started: make(chan *fakeSession, 64), stopped: make(chan *fakeSession, 64)}
}

func (c *fakeChannel) Info() channels.Info {
	return channels.Info{Type: "fake", Name: "Fake", Capabilities: c.caps, Config: []channels.ConfigField{{Name: "token", Secret: true}}}
}

func (c *fakeChannel) Validate(channels.Config) error { return nil }
func (c *fakeChannel) New(cfg channels.Config, deps channels.Deps) (channels.Session, error) {
	return &fakeSession{channel: c, cfg: cfg, deps: deps}, nil
}

// ReceiveWebhook implements channels.WebhookReceiver.
func (c *fakeChannel) ReceiveWebhook(ctx context.Context, _ channels.Config, req channels.WebhookRequest, in channels.Sink) (channels.WebhookResponse, error) {
	if string(req.Body) == "panic" {
		panic("boom")
	}
	var event message.Inbound
	if err := json.Unmarshal(req.Body, &event); err != nil {
		return channels.WebhookResponse{}, &channels.WebhookError{Status: http.StatusBadRequest, Code: "bad_json"}
	}
	ack, err := in.Publish(ctx, event, req.Body)
	if err != nil {
		return channels.WebhookResponse{}, err
	}
	body, err := json.Marshal(ack)
	return channels.WebhookResponse{Status: http.StatusAccepted, Body: body}, err
}

// Page implements channels.PageServer.
func (c *fakeChannel) Page(cfg channels.Config, deps channels.PageDeps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		items, err := deps.History.Since(r.Context(), "c1", "", 10)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"config": string(cfg.Values), "items": len(items)})
	})
}

type fakeSession struct {
	channel *fakeChannel
	cfg     channels.Config
	deps    channels.Deps
	sink    channels.Sink
}

func (s *fakeSession) Start(ctx context.Context, in channels.Sink) error {
	s.sink = in
	if f := s.channel.startFunc; f != nil {
		if err := f(ctx, s.cfg, in); err != nil {
			return err
		}
	}
	s.channel.started <- s
	return nil
}

func (s *fakeSession) Stop(context.Context) error {
	s.channel.stopped <- s
	return nil
}

func (s *fakeSession) Send(ctx context.Context, out message.Outbound) (message.Receipt, error) {
	if s.channel.sendFunc == nil {
		return message.Receipt{ExternalID: "p-" + out.Key, At: time.Now()}, nil
	}
	return s.channel.sendFunc(ctx, out)
}

// Typing implements channels.Typer.
func (s *fakeSession) Typing(ctx context.Context, _ message.Chat) error {
	s.channel.typeFunc(ctx)
	return nil
}

// LocateFile implements channels.FileLocator.
func (s *fakeSession) LocateFile(ctx context.Context, ref string) (channels.FileLocation, error) {
	return s.channel.fileFunc(ctx, ref)
}

// React implements channels.Reactor; the others are not supported.
func (s *fakeSession) React(context.Context, message.Outbound) error { return nil }

// world is a hub's database and NATS.
type world struct {
	t     *testing.T
	store *store.Store
	bus   *bus.Bus
	srv   *server.Server
	fake  *fakeChannel
}

func newWorld(t *testing.T) *world {
	t.Helper()
	url := testkit.Postgres(t)
	srv := testkit.NATSServer(t)
	st, err := store.Open(t.Context(), url, 0)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	box, err := secret.New(secret.GenerateKey())
	require.NoError(t, err)
	st.UseSecrets(box)
	b, err := bus.Open(t.Context(), testkit.NATSConn(t, srv), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return &world{t: t, store: st, bus: b, srv: srv, fake: newFake()}
}

func (w *world) lookup(typ string) (channels.Channel, bool) { return w.fake, typ == "fake" }

// quick shortens what tests wait for; the lease's own lifetime stays real.
func quick() gateway.Timing {
	t := gateway.DefaultTiming()
	t.Retry, t.RetrySoon, t.BackoffMin, t.BackoffMax = 100*time.Millisecond, 50*time.Millisecond, 20*time.Millisecond, 100*time.Millisecond
	return t
}

// gateway starts one; change alters its dependencies first.
func (w *world) gateway(owner string, change ...func(*gateway.Deps)) *gateway.Gateway {
	w.t.Helper()
	deps := gateway.Deps{Store: w.store, Bus: w.bus, Owner: owner, HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler),
		Lookup: w.lookup, Timing: quick()}
	for _, c := range change {
		c(&deps)
	}
	g, err := gateway.New(deps)
	require.NoError(w.t, err)
	require.NoError(w.t, g.Start(w.t.Context()))
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			w.t.Error(err)
		}
	})
	return g
}

func (w *world) instance(config string) *omni.Instance {
	w.t.Helper()
	in, err := w.store.CreateInstance(w.t.Context(), omni.Instance{Name: "test", Channel: "fake", Settings: omni.DefaultSettings(),
		ChannelConfig: json.RawMessage(config)})
	require.NoError(w.t, err)
	require.NoError(w.t, w.bus.Announce(w.t.Context(), in.ID))
	return in
}

func (w *world) send(id uuid.UUID, chat, key string, deadline time.Time) (message.Receipt, *channels.SendError) {
	w.t.Helper()
	return w.sendTo(id, message.Chat{ID: chat}, key, deadline)
}

func (w *world) sendTo(id uuid.UUID, chat message.Chat, key string, deadline time.Time) (message.Receipt, *channels.SendError) {
	w.t.Helper()
	receipt, err := w.bus.Send(w.t.Context(), "fake", id, channels.OpSend,
		message.Outbound{Key: key, Kind: message.KindMessage, Chat: chat}, deadline)
	if err == nil {
		return receipt, nil
	}
	var typed *channels.SendError
	if !errors.As(err, &typed) {
		w.t.Errorf("not a SendError: %v", err)
	}
	return receipt, typed
}

func (w *world) awaitStatus(id uuid.UUID, want channels.Status) *omni.Instance {
	w.t.Helper()
	var in *omni.Instance
	require.Eventually(w.t, func() bool {
		var err error
		in, err = w.store.Instance(w.t.Context(), id)
		return err == nil && in.Status == want
	}, 10*time.Second, 10*time.Millisecond, "status %s", want)
	return in
}

// awaitServed returns once requests reach the session.
func (w *world) awaitServed(id uuid.UUID) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		_, err := w.bus.Outcome(w.t.Context(), "fake", id, "nothing")
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

// latch is closed once.
type latch struct {
	once sync.Once
	c    chan struct{}
}

func newLatch() *latch    { return &latch{c: make(chan struct{})} }
func (l *latch) release() { l.once.Do(func() { close(l.c) }) }

// leaseRevision is 0 where nobody holds the instance.
func (w *world) leaseRevision(id uuid.UUID) uint64 {
	w.t.Helper()
	kv, err := w.bus.KV(w.t.Context(), bus.BucketLeases)
	require.NoError(w.t, err)
	entry, err := kv.Get(w.t.Context(), id.String())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0
	}
	require.NoError(w.t, err)
	return entry.Revision()
}

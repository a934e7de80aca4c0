package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/workers/gateway"
)

func event(id string) message.Inbound {
	return message.Inbound{ID: id, Kind: message.KindMessage, Timestamp: time.Now(), Chat: message.Chat{ID: "c1"},
		Sender: message.Sender{ID: "u1"}, Content: message.Content{Type: message.TypeText, Text: "hi"}}
}

func hooks(t *testing.T, w *world, change ...func(*gateway.HooksDeps)) *gateway.Hooks {
	t.Helper()
	deps := gateway.HooksDeps{Instances: store.NewInstanceCache(w.store, time.Millisecond), Store: w.store, Bus: w.bus,
		HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler), Lookup: w.lookup}
	for _, c := range change {
		c(&deps)
	}
	h, err := gateway.NewHooks(deps)
	require.NoError(t, err)
	return h
}

func post(t *testing.T, h *gateway.Hooks, id uuid.UUID, in message.Inbound) (channels.Ack, error) {
	t.Helper()
	body, err := json.Marshal(in)
	require.NoError(t, err)
	resp, err := h.Webhook(t.Context(), "fake", id.String(), channels.WebhookRequest{Method: http.MethodPost, Body: body, Now: time.Now()})
	if err != nil {
		return channels.Ack{}, err
	}
	require.Equal(t, http.StatusAccepted, resp.Status)
	var ack channels.Ack
	require.NoError(t, json.Unmarshal(resp.Body, &ack))
	return ack, nil
}

func TestAWebhookIsDurableWhenAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.instance(`{}`)
	h := hooks(t, w)
	ack, err := post(t, h, in.ID, event("1"))
	require.NoError(t, err)
	require.False(t, ack.Duplicate)
	env, err := w.bus.GetInbound(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, ack.MessageID, env.MessageID.String())
	require.Equal(t, "hi", env.Event.Content.Text)
	require.NotEmpty(t, env.Raw)

	again, err := post(t, h, in.ID, event("1"))
	require.NoError(t, err)
	require.Equal(t, channels.Ack{MessageID: ack.MessageID, Duplicate: true}, again)
}

// The stream forgets after a quarter of an hour; the database does not.
func TestARepeatedEventIsADuplicateForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.instance(`{}`)
	_, err := w.store.Pool().Exec(t.Context(), "UPDATE instances SET created_at = now() - interval '1 day'")
	require.NoError(t, err)
	old := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: in.ID, Channel: "fake", ReceivedAt: time.Now(), Event: event("old"), Seq: 77}
	old.MessageID = omni.MessageID(in.ID, old.ExternalKey())
	require.NoError(t, w.store.Record(t.Context(), []omni.Envelope{old}, 0))
	h := hooks(t, w)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			id, want := "old", true
			if i%2 == 0 {
				id, want = fmt.Sprint("new", i), false
			}
			ack, err := post(t, h, in.ID, event(id))
			if err != nil || ack.Duplicate != want {
				t.Errorf("%s: %+v %v", id, ack, err)
			}
		})
	}
	wg.Wait()
}

func TestALookUpThatFailsDoesNotKeepAnEventOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.instance(`{}`)
	_, err := w.store.Pool().Exec(t.Context(), "UPDATE instances SET created_at = now() - interval '1 day'")
	require.NoError(t, err)
	h := hooks(t, w, func(d *gateway.HooksDeps) { d.Store = brokenStore{d.Store} })
	for i := range 3 {
		ack, err := post(t, h, in.ID, event(fmt.Sprint(i)))
		require.NoError(t, err)
		require.False(t, ack.Duplicate)
	}
}

type brokenStore struct{ gateway.EdgeStore }

func (brokenStore) RecordedPlaces(context.Context, []uuid.UUID, time.Duration) (map[uuid.UUID]uint64, error) {
	return nil, errors.New("away")
}

func TestPoisonIsCleanedOrRefusedAtTheEdge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.instance(`{}`)
	h := hooks(t, w)
	dirty := event("1")
	dirty.Content.Text = strings.Repeat("a\x00", 5<<20)
	dirty.Timestamp = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err := post(t, h, in.ID, dirty)
	require.NoError(t, err)
	env, err := w.bus.GetInbound(t.Context(), 1)
	require.NoError(t, err)
	require.NotContains(t, env.Event.Content.Text, "\x00")
	require.WithinDuration(t, time.Now(), env.Event.Timestamp, time.Minute)

	nameless := event("")
	_, err = post(t, h, in.ID, nameless)
	var refused *channels.WebhookError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusBadRequest, refused.Status)
	require.Equal(t, "id", refused.Field)
}

func TestWebhooksFindTheirInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.instance(`{}`)
	h := hooks(t, w)
	for _, c := range [][2]string{{"fake", uuid.NewString()}, {"fake", "nonsense"}, {"custom", in.ID.String()}} {
		_, err := h.Webhook(t.Context(), c[0], c[1], channels.WebhookRequest{})
		require.ErrorIs(t, err, store.ErrNotFound, c)
	}
	_, err := h.Webhook(t.Context(), "fake", in.ID.String(), channels.WebhookRequest{Body: []byte("panic")})
	require.ErrorContains(t, err, "panicked")
	require.NoError(t, w.store.DeleteInstance(t.Context(), omni.DefaultTenant, in.ID))
	require.Eventually(t, func() bool {
		_, err = h.Webhook(t.Context(), "fake", in.ID.String(), channels.WebhookRequest{})
		return errors.Is(err, store.ErrNotFound)
	}, 20*time.Second, time.Millisecond)
}

func TestAPageIsMadeAnewWhenItsConfigurationChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.instance(`{"title": "one"}`)
	h := hooks(t, w)
	show := func() string {
		page, err := h.Page(in.ID.String())
		require.NoError(t, err)
		rec := httptest.NewRecorder()
		page.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		return rec.Body.String()
	}
	require.Contains(t, show(), "one")
	_, err := w.store.PatchInstance(t.Context(), omni.DefaultTenant, in.ID, func(in *omni.Instance) error {
		in.ChannelConfig = json.RawMessage(`{"title": "two"}`)
		return nil
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(show(), "two") }, 20*time.Second, 2*time.Millisecond)
	_, err = h.Page(uuid.NewString())
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestSessionsPublishKeepStateAndTalkLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gateway("a")
	in := w.instance(`{}`)
	s := receive(t, w.fake.started)
	ack, err := s.sink.Publish(t.Context(), event("1"), nil)
	require.NoError(t, err)
	require.Equal(t, omni.TargetMessageID(in.ID, "1").String(), ack.MessageID)

	require.NoError(t, s.deps.KV.Put(t.Context(), "offset", []byte("42")))
	v, err := s.deps.KV.Get(t.Context(), "offset")
	require.NoError(t, err)
	require.Equal(t, "42", string(v))
	require.NoError(t, s.deps.KV.Delete(t.Context(), "offset"))

	heard := make(chan string, 1)
	stop, err := s.deps.Live.Listen("chat", func(data []byte) { heard <- string(data) })
	require.NoError(t, err)
	defer stop()
	require.NoError(t, s.deps.Live.Broadcast(t.Context(), "chat", []byte("hello")))
	require.Equal(t, "hello", receive(t, heard))
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
)

// Instances finds an instance; *store.InstanceCache is one.
type Instances interface {
	Get(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
	// Remembered gives one that Get would not have to read.
	Remembered(id uuid.UUID) (*omni.Instance, bool)
}

// HooksDeps is what Hooks is handed.
type HooksDeps struct {
	Instances Instances
	Store     EdgeStore
	Bus       *bus.Bus
	HTTP      *http.Client // guarded; given to channels
	PublicURL string
	// CheckURL refuses addresses that outgoing calls may not reach; nil: none.
	CheckURL func(rawURL string) error
	Log      *slog.Logger
	Metrics  *telemetry.Metrics // nil: none
	Meter    metric.Meter       // of the gateway's own instruments; nil: the global one
	Tracer   trace.Tracer       // nil: the global one

	// Lookup finds a channel by type; nil: channels.Lookup.
	Lookup func(channelType string) (channels.Channel, bool)
}

// Hooks receives what platforms and people bring over HTTP: webhooks and the
// pages of channels. It holds no session and works in any process.
type Hooks struct {
	deps    HooksDeps
	edge    *edge
	metrics *metrics
	unknown *unknown

	mu    sync.Mutex
	pages map[uuid.UUID]page
}

// page is a handler with what it was made of.
type page struct {
	handler http.Handler
	channel string
	config  string
}

const (
	maxPages    = 4096
	pageTimeout = 5 * time.Second
)

// NewHooks makes the receiver.
func NewHooks(deps HooksDeps) (*Hooks, error) {
	if deps.Lookup == nil {
		deps.Lookup = channels.Lookup
	}
	m, err := newMetrics(deps.Metrics, deps.Meter)
	if err != nil {
		return nil, fmt.Errorf("making the receiver of webhooks: %w", err)
	}
	e := newEdge(deps.Store, deps.Bus, deps.HTTP, deps.PublicURL, deps.Log, m, deps.Tracer)
	e.checkURL = deps.CheckURL
	return &Hooks{deps: deps, metrics: m, pages: map[uuid.UUID]page{}, edge: e, unknown: newUnknown()}, nil
}

// Find reports omni.ErrNotFound where Webhook would, before anything of the
// call has been read.
func (h *Hooks) Find(ctx context.Context, channelType, instanceID string) error {
	_, _, err := h.receiver(ctx, channelType, instanceID)
	return err
}

// Webhook hands a platform's call to its channel. omni.ErrNotFound where there
// is no such instance, or it is of another channel, or the channel takes no
// webhooks; *channels.WebhookError where the call is refused; any other error
// means that the event is not stored and the platform should come again.
func (h *Hooks) Webhook(ctx context.Context, channelType, instanceID string, req channels.WebhookRequest) (resp channels.WebhookResponse, err error) {
	in, receiver, err := h.receiver(ctx, channelType, instanceID)
	if err != nil {
		return resp, err
	}
	if in.Disabled {
		return resp, &channels.WebhookError{Status: http.StatusServiceUnavailable, Code: "instance_disconnected",
			Detail: "this instance is disconnected"}
	}
	defer func() {
		if p := recover(); p != nil {
			h.metrics.panicked(ctx, in.Channel)
			h.deps.Log.ErrorContext(ctx, "channel panicked", "in", "ReceiveWebhook", "instance_id", in.ID,
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errors.New("receiving a webhook: the channel panicked")
		}
	}()
	return receiver.ReceiveWebhook(ctx, h.edge.config(in), req, h.sink(in))
}

// Page returns the handler of an instance's page. omni.ErrNotFound where there
// is none.
func (h *Hooks) Page(instanceID string) (http.Handler, error) {
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	in, ch, err := h.instance(ctx, instanceID)
	if err != nil {
		return nil, err
	}
	server, ok := ch.(channels.PageServer)
	if !ok {
		return nil, fmt.Errorf("finding the page of instance %s: %w", instanceID, omni.ErrNotFound)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := h.pages[in.ID]; ok && p.channel == in.Channel && p.config == string(in.ChannelConfig) {
		return p.handler, nil
	}
	if len(h.pages) >= maxPages {
		clear(h.pages)
	}
	handler := server.Page(h.edge.config(in), channels.PageDeps{
		Deps: h.edge.deps(in, nil), Sink: h.sink(in), History: &instanceHistory{store: h.deps.Store, instance: in.ID}})
	h.pages[in.ID] = page{handler: handler, channel: in.Channel, config: string(in.ChannelConfig)}
	return handler, nil
}

func (h *Hooks) receiver(ctx context.Context, channelType, instanceID string) (*omni.Instance, channels.WebhookReceiver, error) {
	in, ch, err := h.instance(ctx, instanceID)
	if err != nil {
		return nil, nil, err
	}
	receiver, ok := ch.(channels.WebhookReceiver)
	if !ok || in.Channel != channelType {
		return nil, nil, fmt.Errorf("finding %s instance %s: %w", channelType, instanceID, omni.ErrNotFound)
	}
	return in, receiver, nil
}

func (h *Hooks) instance(ctx context.Context, instanceID string) (*omni.Instance, channels.Channel, error) {
	id, err := uuid.Parse(instanceID)
	if err != nil {
		return nil, nil, fmt.Errorf("finding instance %q: %w", instanceID, omni.ErrNotFound)
	}
	in, err := h.read(ctx, id)
	if err != nil {
		return nil, nil, fmt.Errorf("finding instance %s: %w", id, err)
	}
	ch, ok := h.deps.Lookup(in.Channel)
	if !ok {
		return nil, nil, fmt.Errorf("finding channel %s: %w", in.Channel, omni.ErrNotFound)
	}
	return in, ch, nil
}

// sink is for code without a session, which has no connection to report on.
func (h *Hooks) sink(in *omni.Instance) channels.Sink {
	return h.edge.sink(in, func(s channels.State) {
		h.deps.Log.Debug("a webhook reported a connection's state", "instance_id", in.ID, "status", s.Status)
	})
}

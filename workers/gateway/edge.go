package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
)

// EdgeStore is what channels need of the database, with or without a session;
// *store.Store is one.
type EdgeStore interface {
	ChannelValue(ctx context.Context, instanceID uuid.UUID, key string) ([]byte, error)
	PutChannelValue(ctx context.Context, tenant string, instanceID uuid.UUID, key string, value []byte) error
	DeleteChannelValue(ctx context.Context, instanceID uuid.UUID, key string) error
	// SawIdentity notes when an account was last there.
	SawIdentity(ctx context.Context, tenant string, id uuid.UUID, at time.Time) error
	ChatHistory(ctx context.Context, instanceID uuid.UUID, externalChatID string, after uuid.UUID, limit int) ([]channels.HistoryItem, error)
	// RecordedPlaces says from which sequence each event was recorded.
	RecordedPlaces(ctx context.Context, ids []uuid.UUID, olderThan time.Duration) (map[uuid.UUID]uint64, error)
}

// edge makes what channels are handed.
type edge struct {
	store     EdgeStore
	bus       *bus.Bus
	http      *http.Client
	publicURL string
	checkURL  func(rawURL string) error // nil: only the form of URLs is checked
	log       *slog.Logger
	metrics   *metrics
	repeats   *repeats
	tracer    trace.Tracer
}

func newEdge(store EdgeStore, b *bus.Bus, client *http.Client, publicURL string, log *slog.Logger, m *metrics, tracer trace.Tracer) *edge {
	if tracer == nil {
		tracer = otel.Tracer("github.com/omnihub/omni/workers/gateway")
	}
	return &edge{store: store, bus: b, http: client, publicURL: publicURL, log: log, metrics: m,
		repeats: newRepeats(store, log), tracer: tracer}
}

func (e *edge) config(in *omni.Instance) channels.Config {
	return channels.Config{TenantID: in.TenantID, InstanceID: in.ID.String(), Values: in.ChannelConfig, PublicURL: e.publicURL,
		CheckURL: e.checkURL}
}

// deps is for a session while the lease stands, or (nil) for code without one.
func (e *edge) deps(in *omni.Instance, l *lease) channels.Deps {
	return channels.Deps{
		Log:  e.log.With("instance_id", in.ID, "channel", in.Channel),
		HTTP: e.http,
		KV:   &instanceKV{store: e.store, tenant: in.TenantID, instance: in.ID, lease: l},
		Live: &instanceLive{bus: e.bus, instance: in.ID.String()},

		Presence: &instancePresence{store: e.store, bus: e.bus, tenant: in.TenantID, instance: in.ID, holder: uuid.NewString()},
	}
}

// sink takes what an instance receives.
func (e *edge) sink(in *omni.Instance, state func(channels.State)) channels.Sink {
	return &sink{edge: e, instance: in, state: state}
}

type sink struct {
	edge     *edge
	instance *omni.Instance
	state    func(channels.State)
}

var _ channels.Sink = (*sink)(nil)

// State implements channels.Sink.
func (s *sink) State(state channels.State) { s.state(state) }

// Publish implements channels.Sink. What can never be stored is refused with a
// *channels.WebhookError; a channel that polls must step over it. Any other
// error means: not acknowledged, bring it again.
func (s *sink) Publish(ctx context.Context, in message.Inbound, raw []byte) (channels.Ack, error) {
	ctx, span := s.edge.tracer.Start(ctx, "gateway.Publish", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("omni.instance", s.instance.ID.String()), attribute.String("omni.channel", s.instance.Channel)))
	defer span.End()
	env, err := s.envelope(ctx, in, raw)
	if err != nil {
		return channels.Ack{}, err
	}
	span.SetAttributes(attribute.String("omni.message", env.MessageID.String()))
	seq, duplicate, err := s.publish(ctx, env)
	if err != nil {
		span.RecordError(err)
		return channels.Ack{}, err
	}
	if !duplicate && s.mayRepeat(env) {
		duplicate = s.edge.repeats.repeated(ctx, env.MessageID, seq)
	}
	s.edge.metrics.IngestPublished(ctx, s.instance.Channel, duplicate)
	return channels.Ack{MessageID: env.MessageID.String(), Duplicate: duplicate}, nil
}

func (s *sink) envelope(ctx context.Context, in message.Inbound, raw []byte) (*omni.Envelope, error) {
	// Cleaning changes elements in place; the caller keeps its own.
	in.Mentions, in.Content.Media, in.Content.Buttons = slices.Clone(in.Mentions), slices.Clone(in.Content.Media), slices.Clone(in.Content.Buttons)
	env := &omni.Envelope{TenantID: s.instance.TenantID, InstanceID: s.instance.ID, Channel: s.instance.Channel,
		ReceivedAt: time.Now().UTC(), Event: in, Raw: raw, Traceparent: telemetry.Traceparent(ctx)}
	if err := bus.Clean(env); err != nil {
		refused := &channels.WebhookError{Status: http.StatusBadRequest, Code: "invalid_field", Detail: err.Error()}
		if field, ok := errors.AsType[*bus.FieldError](err); ok {
			refused.Field = field.Field
		}
		return nil, refused
	}
	env.MessageID = omni.MessageID(env.InstanceID, env.ExternalKey())
	return env, nil
}

func (s *sink) publish(ctx context.Context, env *omni.Envelope) (seq uint64, duplicate bool, err error) {
	seq, duplicate, err = s.edge.bus.PublishInbound(ctx, env)
	if errors.Is(err, nats.ErrMaxPayload) && env.Raw != nil {
		env.Raw = nil // the platform's own words are for people who debug
		seq, duplicate, err = s.edge.bus.PublishInbound(ctx, env)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		err = &channels.WebhookError{Status: http.StatusRequestEntityTooLarge, Code: "event_too_large", Detail: "the event is too large"}
	}
	return seq, duplicate, err
}

// mayRepeat reports whether an event that the stream did not know can still
// have come before: only one of an instance older than the stream's memory.
func (s *sink) mayRepeat(env *omni.Envelope) bool {
	if time.Since(s.instance.CreatedAt) < bus.InboundWindow {
		return false
	}
	switch env.Event.Kind {
	case message.KindMessage, message.KindReaction, message.KindEdit, message.KindDelete:
		return true
	default:
		return false // leaves nothing to compare with
	}
}

package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/durable"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
	"github.com/omnihub/omni/workflows"
)

// floorNamespace keeps the floor's workflows apart: the queue has the name it
// has in the hub.
const floorNamespace = "bench-floor"

// floor runs the hub's own message workflow on activities that do nothing. It
// is registered and started by the code that the hub uses, so it cannot differ
// from it in anything but the steps.
type floor struct {
	client client.Client
	engine *durable.Engine
	worker worker.Worker
	tel    *telemetry.Telemetry
	sends  *tracker

	person, instance uuid.UUID
}

func startFloor(ctx context.Context, address string, sends *tracker) (*floor, error) {
	// The hub's client carries tracing and metrics too.
	tel, err := telemetry.Setup(ctx, telemetry.Options{Service: "bench", LogLevel: slog.LevelError})
	if err != nil {
		return nil, err
	}
	admin, err := durable.Dial(ctx, durable.ClientConfig{Address: address, Namespace: "default", Log: tel.Log})
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	if err := durable.EnsureNamespace(ctx, admin, floorNamespace); err != nil {
		return nil, err
	}
	c, err := durable.Dial(ctx, durable.ClientConfig{Address: address, Namespace: floorNamespace, Log: tel.Log,
		Tracer: tel.Tracer, Meter: tel.Meter})
	if err != nil {
		return nil, err
	}
	f := &floor{client: c, engine: durable.NewEngine(c), tel: tel, sends: sends, person: uuid.New(), instance: uuid.New()}
	options, err := f.engine.PipelineOptions(1)
	if err != nil {
		return nil, err
	}
	options.DisableRegistrationAliasing = true
	f.worker = worker.New(c, workflows.QueuePipeline, options)
	workflows.Register(f.worker)
	f.register()
	if err := f.worker.Start(); err != nil {
		c.Close()
		return nil, fmt.Errorf("starting the floor's worker: %w", err)
	}
	return f, nil
}

func (f *floor) close() {
	f.worker.Stop()
	f.client.Close()
	_ = f.tel.Shutdown(context.Background())
}

// register makes the quick path's steps answer as after work well done.
func (f *floor) register() {
	step(f.worker, activities.IdentityResolve, func(context.Context, activities.ResolveInput) (activities.ResolveOutput, error) {
		return activities.ResolveOutput{PersonID: f.person}, nil
	})
	step(f.worker, activities.AccessCheck, func(context.Context, activities.CheckInput) (activities.CheckOutput, error) {
		return activities.CheckOutput{Decision: activities.Allow}, nil
	})
	step(f.worker, activities.TurnJoin, func(_ context.Context, in activities.JoinInput) (activities.TurnView, error) {
		turn := omni.TurnID(in.Message.MessageID, 0)
		return activities.TurnView{State: activities.StateClosed, TurnID: uuid.NullUUID{UUID: turn, Valid: true}, Epoch: 1,
			Leader: uuid.NullUUID{UUID: in.Message.MessageID, Valid: true}, Messages: 1, QuickAgent: true}, nil
	})
	step(f.worker, activities.AgentReply, func(context.Context, activities.ReplyInput) (activities.ReplyOutput, error) {
		return activities.ReplyOutput{State: activities.StateClosed, Parts: 1, QuickDelivery: true}, nil
	})
	step(f.worker, activities.DeliverSend, func(_ context.Context, in activities.SendInput) (activities.SendOutput, error) {
		f.sends.done(in.Turn.Leader.String())
		return activities.SendOutput{Outcome: activities.OutcomeAnswered, Sent: 1, Finished: true}, nil
	})
}

func step[In, Out any](w worker.Worker, name string, fn func(context.Context, In) (Out, error)) {
	w.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
}

// start begins one workflow; key is its message id.
func (f *floor) start(ctx context.Context, key string) (uuid.UUID, error) {
	id, err := uuid.Parse(key)
	if err != nil {
		return uuid.Nil, fmt.Errorf("reading a message id: %w", err)
	}
	ctx, span := f.tel.Tracer.Start(ctx, "ingest.Start")
	defer span.End()
	return id, f.engine.StartMessage(ctx, workflows.MessageInput{
		TenantID: omni.DefaultTenant, InstanceID: f.instance, Channel: twinType, ChatID: uuid.New(), MessageID: id,
		Kind: "message", Seq: 1, ExternalID: key, Traceparent: telemetry.Traceparent(ctx),
	})
}

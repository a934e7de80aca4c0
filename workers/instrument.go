package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/telemetry"
)

// instrumented gives a step what every step has: its context names the message
// in each log line, it is timed, and its failure is said.
func instrumented[In, Out any](d Deps, name string, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (out Out, err error) {
		ctx = telemetry.With(ctx, subject(in)...)
		began := time.Now()
		defer func() {
			if p := recover(); p != nil {
				d.Metrics.Panic(ctx, name)
				d.Log.ErrorContext(ctx, "step panicked", "step", name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				// Tried again, as any other failure: the next try may meet something else.
				err = fmt.Errorf("step %s panicked", name)
			}
			took := time.Since(began)
			d.Metrics.Step(ctx, name, took, err)
			switch {
			case err == nil:
				if step := buried(in, out); step != "" {
					d.Metrics.DeadLetter(ctx, step)
				}
				d.Log.DebugContext(ctx, "step done", "step", name, "took", took)
			case errors.Is(err, context.Canceled):
				d.Log.DebugContext(ctx, "step cancelled", "step", name, "took", took)
			default:
				d.Log.WarnContext(ctx, "step failed", "step", name, "took", took, "error", err)
			}
		}()
		return fn(ctx, in)
	}
}

// buried names the step whose dead letter a step has written, "" for none.
func buried(in, out any) string {
	switch in := in.(type) {
	case activities.GiveUpInput:
		if o, ok := out.(activities.ReplyOutput); ok && o.State == activities.StateClosed {
			return activities.AgentReply
		}
	case activities.FinishInput:
		if o, ok := out.(activities.FinishOutput); ok && o.Outcome == in.Outcome {
			return in.DeadLetter
		}
	case activities.SendInput:
		if o, ok := out.(activities.SendOutput); ok && in.Outbound.Valid && o.Outcome == activities.OutcomeFailed {
			return activities.DeliverSend // of a turn, turn.Finish writes it
		}
	}
	return ""
}

// subject names what a step works on.
func subject(in any) []slog.Attr {
	switch in := in.(type) {
	case activities.ResolveInput:
		return aboutMessage(in.Message)
	case activities.CheckInput:
		return aboutMessage(in.Message)
	case activities.JoinInput:
		return aboutMessage(in.Message)
	case activities.FetchInput:
		return aboutMessage(in.Message)
	case activities.ReadyInput:
		return aboutMessage(in.Message)
	case activities.CloseInput:
		return aboutTurn(in.Turn)
	case activities.ReplyInput:
		return aboutTurn(in.Turn)
	case activities.AwaitInput:
		return aboutTurn(in.Turn)
	case activities.GiveUpInput:
		return aboutTurn(in.Turn)
	case activities.SendInput:
		return aboutTurn(in.Turn)
	case activities.YieldInput:
		return aboutTurn(in.Turn)
	case activities.FinishInput:
		return aboutTurn(in.Turn)
	case activities.ArmInput:
		return aboutTurn(in.Turn)
	case activities.ClaimInput:
		f := in.FollowUp
		return aboutTurn(activities.TurnRef{TenantID: f.TenantID, InstanceID: f.InstanceID, ChatID: f.ChatID, TurnID: f.TurnID, Leader: f.Leader})
	default:
		return nil
	}
}

func aboutMessage(m activities.MessageRef) []slog.Attr {
	return []slog.Attr{slog.String(telemetry.KeyCorrelation, m.MessageID.String()), slog.String(telemetry.KeyTenant, m.TenantID),
		slog.String(telemetry.KeyInstance, m.InstanceID.String()), slog.String(telemetry.KeyChat, m.ChatID.String())}
}

func aboutTurn(t activities.TurnRef) []slog.Attr {
	attrs := []slog.Attr{slog.String(telemetry.KeyCorrelation, t.Leader.String()), slog.String(telemetry.KeyTenant, t.TenantID),
		slog.String(telemetry.KeyInstance, t.InstanceID.String()), slog.String(telemetry.KeyChat, t.ChatID.String())}
	if t.TurnID != uuid.Nil {
		attrs = append(attrs, slog.String(telemetry.KeyTurn, t.TurnID.String()))
	}
	return attrs
}

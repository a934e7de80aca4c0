package durable

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// workflowTaskTimeout is when a workflow task of a process that died is given
// to another one. Quick steps end before it (activities.QuickDeadline).
const workflowTaskTimeout = 5 * time.Second

// Engine starts and asks about workflows. It is safe for concurrent use.
type Engine struct {
	client client.Client
	slots  *Slots
}

// NewEngine makes an engine. Starts are eager where a worker of this process
// shares the client.
func NewEngine(c client.Client) *Engine {
	return &Engine{client: c, slots: newSlots(runtime.GOMAXPROCS(0))}
}

// Slots are those of the worker that runs the workflows in this process, if
// one does.
func (e *Engine) Slots() *Slots { return e.slots }

// StartMessage starts the workflow of an inbound message. A message that has
// one, running or closed, is no error: the same event may come any number of times.
func (e *Engine) StartMessage(ctx context.Context, in workflows.MessageInput) error {
	return e.startMessage(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
}

func (e *Engine) startMessage(ctx context.Context, in workflows.MessageInput, reuse enumspb.WorkflowIdReusePolicy) error {
	e.slots.await(ctx)
	opts := client.StartWorkflowOptions{
		ID: workflows.MessageWorkflowID(in.MessageID), TaskQueue: workflows.QueuePipeline,
		WorkflowIDReusePolicy:    reuse,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowTaskTimeout:      workflowTaskTimeout,
		EnableEagerStart:         true,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.AttrInstance.ValueSet(in.InstanceID.String()), workflows.AttrChannel.ValueSet(in.Channel),
			workflows.AttrChat.ValueSet(in.ChatID.String()), workflows.AttrExternalID.ValueSet(keyword(in.ExternalID))),
	}
	_, err := e.client.ExecuteWorkflow(ctx, opts, workflows.TypeMessage, in)
	return ignoreStarted(err, "starting the workflow of message "+in.MessageID.String())
}

// StartStranded starts the workflow of a message that has none: one that the
// starter left out because it saw other settings than the recorder, or whose
// workflow failed or was terminated before it did anything.
func (e *Engine) StartStranded(ctx context.Context, m omni.StrandedMessage) error {
	return e.startMessage(ctx, workflows.MessageInput{TenantID: m.TenantID, InstanceID: m.InstanceID, Channel: m.Channel,
		ChatID: m.ChatID, MessageID: m.ID, Kind: m.Kind, Seq: m.Seq, ExternalID: m.ExternalID, ReceivedAt: m.RecordedAt,
		Traceparent: m.Traceparent}, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY)
}

// keyword cuts a foreign id to what a keyword attribute takes.
func keyword(s string) string {
	const limit = 255
	if len(s) <= limit {
		return s
	}
	return s[:limit]
}

// StartOutbound starts the workflow of a message sent by API, after delay.
func (e *Engine) StartOutbound(ctx context.Context, in workflows.OutboundInput, delay time.Duration) error {
	return e.startOutbound(ctx, workflows.OutboundWorkflowID(in.TenantID, in.MessageID), in, delay)
}

// StartAccepted starts the workflow of a message that is stored and of one part.
func (e *Engine) StartAccepted(ctx context.Context, m omni.OutboundAccepted) error {
	return e.StartOutbound(ctx, workflows.OutboundInput{TenantID: m.TenantID, InstanceID: m.InstanceID, Channel: m.Channel,
		ChatID: m.ChatID, MessageID: m.MessageID, Traceparent: m.Traceparent}, 0)
}

func (e *Engine) startOutbound(ctx context.Context, workflowID string, in workflows.OutboundInput, delay time.Duration) error {
	opts := client.StartWorkflowOptions{
		ID: workflowID, TaskQueue: workflows.QueuePipeline,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowTaskTimeout:      workflowTaskTimeout,
		EnableEagerStart:         delay <= 0,
		StartDelay:               max(delay, 0),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.AttrInstance.ValueSet(in.InstanceID.String()), workflows.AttrChannel.ValueSet(in.Channel),
			workflows.AttrChat.ValueSet(in.ChatID.String())),
	}
	_, err := e.client.ExecuteWorkflow(ctx, opts, workflows.TypeOutbound, in)
	return ignoreStarted(err, "starting the workflow of outbound message "+in.MessageID.String())
}

// RetryOutbound starts a further workflow for a message sent by API: the one
// that goes on with its dead letter, or after somebody's word on a part.
func (e *Engine) RetryOutbound(ctx context.Context, in workflows.OutboundInput, reason uuid.UUID) error {
	return e.startOutbound(ctx, workflows.OutboundRetryWorkflowID(in.TenantID, in.MessageID, reason), in, 0)
}

// CancelOutbound ends the workflow of a scheduled message whose row is
// cancelled already.
func (e *Engine) CancelOutbound(ctx context.Context, tenant string, messageID uuid.UUID) error {
	err := e.client.TerminateWorkflow(ctx, workflows.OutboundWorkflowID(tenant, messageID), "", "cancelled by call")
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending the workflow of outbound message %s: %w", messageID, err)
	}
	return nil
}

// StartTurn starts the workflow that goes on with an adopted turn.
func (e *Engine) StartTurn(ctx context.Context, t activities.TurnRef) error {
	opts := client.StartWorkflowOptions{
		ID: t.WorkflowID, TaskQueue: workflows.QueuePipeline,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowTaskTimeout:      workflowTaskTimeout,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.AttrInstance.ValueSet(t.InstanceID.String()), workflows.AttrChannel.ValueSet(t.Channel),
			workflows.AttrChat.ValueSet(t.ChatID.String()), workflows.AttrTurn.ValueSet(t.TurnID.String())),
	}
	_, err := e.client.ExecuteWorkflow(ctx, opts, workflows.TypeTurn, t)
	return ignoreStarted(err, "starting "+t.WorkflowID)
}

// StartFollowUp starts the workflow of a follow-up, after delay. It is found
// with the turn that it follows.
func (e *Engine) StartFollowUp(ctx context.Context, in activities.FollowUpInput, delay time.Duration) error {
	opts := client.StartWorkflowOptions{
		ID: in.WorkflowID(), TaskQueue: workflows.QueuePipeline,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowTaskTimeout:      workflowTaskTimeout,
		StartDelay:               delay,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.AttrInstance.ValueSet(in.InstanceID.String()), workflows.AttrChannel.ValueSet(in.Channel),
			workflows.AttrChat.ValueSet(in.ChatID.String()), workflows.AttrTurn.ValueSet(in.TurnID.String())),
	}
	_, err := e.client.ExecuteWorkflow(ctx, opts, workflows.TypeFollowUp, in)
	return ignoreStarted(err, "starting "+in.WorkflowID())
}

// Signal delivers a signal; a workflow that is gone is no error.
func (e *Engine) Signal(ctx context.Context, workflowID, signal string) error {
	err := e.client.SignalWorkflow(ctx, workflowID, "", signal, nil)
	if err == nil || isNotFound(err) {
		return nil
	}
	return fmt.Errorf("signalling %s: %w", workflowID, err)
}

// Running reports whether a workflow is open.
func (e *Engine) Running(ctx context.Context, workflowID string) (bool, error) {
	_, status, err := e.Describe(ctx, workflowID)
	return status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, err
}

// Describe returns the newest run of a workflow. An unknown workflow has no
// run and status UNSPECIFIED.
func (e *Engine) Describe(ctx context.Context, workflowID string) (runID string, status enumspb.WorkflowExecutionStatus, err error) {
	d, err := e.client.DescribeWorkflowExecution(ctx, workflowID, "")
	if isNotFound(err) {
		return "", enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, nil
	}
	if err != nil {
		return "", enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, fmt.Errorf("describing workflow %s: %w", workflowID, err)
	}
	info := d.GetWorkflowExecutionInfo()
	return info.GetExecution().GetRunId(), info.GetStatus(), nil
}

// Healthy reports whether Temporal answers.
func (e *Engine) Healthy(ctx context.Context) error {
	if _, err := e.client.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("asking Temporal for its health: %w", err)
	}
	return nil
}

// janitorSchedule is the id of the schedule that starts the janitor.
const janitorSchedule = "omni-janitor"

// EnsureJanitor makes the schedule that looks for abandoned turns.
func (e *Engine) EnsureJanitor(ctx context.Context) error {
	_, err := e.client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:   janitorSchedule,
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: workflows.JanitorEvery}}},
		Action: &client.ScheduleWorkflowAction{ID: "janitor", Workflow: workflows.TypeJanitor, TaskQueue: workflows.QueuePipeline,
			WorkflowExecutionTimeout: 2 * time.Minute},
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	})
	if err != nil && !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return fmt.Errorf("making the janitor's schedule: %w", err)
	}
	return nil
}

func ignoreStarted(err error, doing string) error {
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if err == nil || errors.As(err, &started) {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func isNotFound(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

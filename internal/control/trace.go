package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// Describer asks Temporal about the newest run of a workflow; one that it does
// not know has no run.
type Describer interface {
	Describe(ctx context.Context, workflowID string) (runID string, status enumspb.WorkflowExecutionStatus, err error)
}

// TemporalUI says where the workflows can be looked at.
type TemporalUI struct {
	URL       string // "http://127.0.0.1:8233"
	Namespace string
}

// page is the address of a workflow's history.
func (ui TemporalUI) page(id, runID string) string {
	if ui.URL == "" {
		return ""
	}
	u := strings.TrimSuffix(ui.URL, "/") + "/namespaces/" + url.PathEscape(ui.Namespace) + "/workflows/" + url.PathEscape(id)
	if runID == "" {
		return u
	}
	return u + "/" + url.PathEscape(runID) + "/history"
}

const maxTraceEvents = 2000

// Trace tells a message's whole way, from the webhook to the last receipt: its
// own steps, those of its turn's leader, the workflows, the replies.
func (m *Messages) Trace(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.Trace, error) {
	msg, err := m.visible(ctx, who, id)
	if err != nil {
		return nil, err
	}
	t := &omni.Trace{
		MessageID: id, CorrelationID: id, Status: msg.Status, TurnID: msg.TurnID,
		Steps: []omni.TraceStep{}, Workflows: []omni.TraceWorkflow{}, Replies: []uuid.UUID{},
	}
	if msg.CorrelationID != nil {
		t.CorrelationID = *msg.CorrelationID
	}
	turn, err := m.turnOf(ctx, who, msg)
	if err != nil {
		return nil, err
	}
	if turn != nil {
		t.LeaderID = &turn.LeaderID
		if err := m.replies(ctx, t, turn.ID); err != nil {
			return nil, err
		}
	}
	events, err := m.store.EventsByCorrelation(ctx, who.TenantID, traceRoots(t), maxTraceEvents)
	if err != nil {
		return nil, err
	}
	t.Steps = stepsOf(id, events)
	if turn != nil {
		t.Steps = joinAndClose(id, t.Steps, turn)
	}
	ids, err := m.workflowsOf(ctx, who.TenantID, msg, turn)
	if err != nil {
		return nil, err
	}
	t.Workflows = m.describe(ctx, ids)
	return t, nil
}

func (m *Messages) turnOf(ctx context.Context, who *omni.APIKey, msg *omni.Message) (*omni.TurnTrace, error) {
	if msg.TurnID == nil {
		return nil, nil //nolint:nilnil // no turn is a valid answer
	}
	turn, err := m.store.TurnTrace(ctx, who.TenantID, *msg.TurnID)
	if errors.Is(err, omni.ErrNotFound) {
		return nil, nil //nolint:nilnil // as above
	}
	return turn, err
}

func (m *Messages) replies(ctx context.Context, t *omni.Trace, turn uuid.UUID) error {
	replies, err := m.store.TurnReplies(ctx, turn)
	if err != nil {
		return err
	}
	for i := range replies {
		t.Replies = append(t.Replies, replies[i].ID)
	}
	return nil
}

// traceRoots are the messages whose events belong to the trace.
func traceRoots(t *omni.Trace) []uuid.UUID {
	roots := []uuid.UUID{t.MessageID}
	for _, id := range []*uuid.UUID{&t.CorrelationID, t.LeaderID} {
		if id != nil && !slices.Contains(roots, *id) {
			roots = append(roots, *id)
		}
	}
	return roots
}

// stepData is what a step's event says of the step.
type stepData struct {
	Step       string          `json:"step"`
	StartedAt  time.Time       `json:"startedAt"`
	ReceivedAt time.Time       `json:"receivedAt"`
	DurationMs float64         `json:"durationMs"`
	Attempts   int             `json:"attempts"`
	Error      string          `json:"error"`
	MessageID  *uuid.UUID      `json:"messageId"`
	Part       json.RawMessage `json:"part"`
	Actions    json.RawMessage `json:"actions"`
	Gate       json.RawMessage `json:"gate"`
	Usage      json.RawMessage `json:"usage"`
	Cost       json.RawMessage `json:"cost"`
	Truncated  bool            `json:"truncated"`
	Decision   string          `json:"decision"`
	RuleID     *uuid.UUID      `json:"ruleId"`
	Reason     string          `json:"reason"`
}

// stepsOf makes steps of events. Events that one run of a step wrote together
// are one step; an event that no step claims stands for itself.
func stepsOf(of uuid.UUID, events []omni.Event) []omni.TraceStep {
	steps := []omni.TraceStep{}
	type run struct {
		name    string
		started time.Time
		message uuid.UUID
	}
	seen := map[run]int{}
	for i := range events {
		e := &events[i]
		var d stepData
		if json.Unmarshal(e.Data, &d) != nil {
			d = stepData{} // the event still happened
		}
		if e.Type == omni.EventMessageReceived && !d.ReceivedAt.IsZero() {
			steps = append(steps, inboundStep(of, &d))
		}
		step := stepOf(of, e, &d)
		key := run{name: step.Name, started: step.StartedAt}
		if d.MessageID != nil {
			key.message = *d.MessageID
		}
		if at, ok := seen[key]; ok && d.Step != "" {
			steps[at].Detail.EventIDs = append(steps[at].Detail.EventIDs, e.ID)
			steps[at].Detail.EventTypes = append(steps[at].Detail.EventTypes, string(e.Type))
			steps[at].DurationMs = max(steps[at].DurationMs, step.DurationMs)
			if step.Status == "failed" {
				steps[at].Status, steps[at].Error = step.Status, step.Error
			}
			continue
		}
		seen[key] = len(steps)
		steps = append(steps, step)
	}
	sort.SliceStable(steps, func(i, j int) bool { return steps[i].StartedAt.Before(steps[j].StartedAt) })
	return steps
}

func stepOf(of uuid.UUID, e *omni.Event, d *stepData) omni.TraceStep {
	s := omni.TraceStep{
		Name: d.Step, Status: "completed", StartedAt: d.StartedAt.UTC(), DurationMs: d.DurationMs,
		Attempts: max(d.Attempts, 1), Error: d.Error,
		Detail: omni.TraceStepDetail{EventIDs: []uuid.UUID{e.ID}, EventTypes: []string{string(e.Type)}, Part: d.Part,
			Actions: d.Actions, Gate: d.Gate, Usage: d.Usage, Cost: d.Cost, Truncated: d.Truncated},
	}
	if s.Name == "" {
		s.Name = string(e.Type)
	}
	if s.StartedAt.IsZero() {
		s.StartedAt = e.Time.UTC()
	}
	if d.MessageID != nil && *d.MessageID != of {
		s.Detail.MessageID = d.MessageID
	}
	switch e.Type { //nolint:exhaustive // all others went well
	case omni.EventAccessChecked:
		s.Detail.Decision, s.Detail.RuleID, s.Detail.Reason = d.Decision, d.RuleID, d.Reason
	case omni.EventAgentError, omni.EventMessageFailed, omni.EventTurnFailed, omni.EventMessageExpired, omni.EventMessageUnknown:
		s.Status = "failed"
	}
	return s
}

// inboundStep is the edge: from the platform's call until the event was
// durable and on its way to the recorder.
func inboundStep(of uuid.UUID, d *stepData) omni.TraceStep {
	// Postgres keeps microseconds: more would put the edge behind what follows.
	received := d.ReceivedAt.UTC().Truncate(time.Microsecond)
	s := omni.TraceStep{
		Name: string(omni.EventChannelInbound), Status: "completed", StartedAt: received, Attempts: 1,
		Detail: omni.TraceStepDetail{EventTypes: []string{string(omni.EventChannelInbound)}},
	}
	if d.MessageID != nil && *d.MessageID != of {
		s.Detail.MessageID = d.MessageID
	}
	if d.StartedAt.After(received) {
		s.DurationMs = float64(d.StartedAt.Sub(received).Microseconds()) / 1000
	}
	return s
}

// workflowType is what the id begins with (workflows/ids.go).
func workflowType(id string) string {
	kind, _, _ := strings.Cut(id, "/")
	return map[string]string{"message": workflows.TypeMessage, "outbound": workflows.TypeOutbound, "turn": workflows.TypeTurn,
		"followup": workflows.TypeFollowUp}[kind]
}

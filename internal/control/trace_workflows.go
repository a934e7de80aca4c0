package control

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// traced are the workflows that a trace asks Temporal about, in the order in
// which they came to work.
type traced struct {
	ids   []string
	maybe map[string]bool // of these nobody knows whether they ever existed
}

func (t *traced) add(id string) {
	delete(t.maybe, id)
	if id != "" && !slices.Contains(t.ids, id) {
		t.ids = append(t.ids, id)
	}
}

// maxHands bounds how many changes of hands of one turn a trace asks about.
const maxHands = 20

// turn adds everybody who may have held a turn. Each adoption and each retry
// began a workflow named by its epoch; a takeover raises the epoch, too.
func (t *traced) turn(turn *omni.TurnTrace) {
	for epoch := max(2, turn.Epoch-maxHands); epoch <= turn.Epoch; epoch++ {
		id := activities.TurnWorkflowID(turn.ID, epoch)
		t.add(id)
		t.maybe[id] = true
	}
	t.add(turn.WorkflowID)
}

// workflowsOf finds the workflows that worked for a message: its own, its
// leader's, who adopted or retried its turn, those of a turn that was
// interrupted for it, what followed it up; or what sent it, each time.
func (m *Messages) workflowsOf(ctx context.Context, tenant string, msg *omni.Message, turn *omni.TurnTrace) (*traced, error) {
	t := &traced{maybe: map[string]bool{}}
	if msg.Direction == omni.DirectionInbound {
		t.add(workflows.MessageWorkflowID(msg.ID))
	}
	if turn == nil {
		if msg.Direction != omni.DirectionInbound {
			return t, m.outboundRuns(ctx, t, tenant, msg)
		}
		return t, nil
	}
	related, err := m.store.RelatedTurns(ctx, turn.ID)
	if err != nil {
		return nil, err
	}
	followUps, err := m.store.FollowUpsAfter(ctx, turn.ID)
	if err != nil {
		return nil, err
	}
	t.add(workflows.MessageWorkflowID(turn.LeaderID))
	t.turn(turn)
	for _, n := range followUps {
		t.add(activities.FollowUpWorkflowID(turn.ID, n))
	}
	for i := range related {
		t.add(workflows.MessageWorkflowID(related[i].LeaderID))
		t.turn(&related[i])
	}
	return t, nil
}

// outboundRuns adds what sent a message that came by API. All of its parts are
// one message, named by the first.
func (m *Messages) outboundRuns(ctx context.Context, t *traced, tenant string, msg *omni.Message) error {
	first := msg.ID
	if msg.CorrelationID != nil {
		first = *msg.CorrelationID
	}
	t.add(workflows.OutboundWorkflowID(tenant, first))
	parts := []uuid.UUID{first}
	if msg.Part != nil {
		for i := 1; i < msg.Part.Count; i++ {
			parts = append(parts, omni.OutboundPartID(first, i))
		}
	}
	reasons, err := m.store.OutboundRuns(ctx, first, parts)
	if err != nil {
		return err
	}
	for _, reason := range reasons {
		t.add(workflows.OutboundRetryWorkflowID(tenant, first, reason))
	}
	return nil
}

// describe looks the workflows up. One that Temporal does not know (any more)
// is left out; while Temporal is away those that exist are named without run.
func (m *Messages) describe(ctx context.Context, t *traced) []omni.TraceWorkflow {
	out := make([]omni.TraceWorkflow, 0, len(t.ids))
	for _, id := range t.ids {
		w := omni.TraceWorkflow{ID: id, Type: workflowType(id)}
		if m.workflows != nil {
			runID, status, err := m.workflows.Describe(ctx, id)
			switch {
			case err != nil:
				m.log.WarnContext(ctx, "asking Temporal about a workflow", "workflow_id", id, "error", err)
			case runID == "":
				continue
			default:
				w.RunID, w.Status = runID, status.String()
			}
		}
		if w.RunID == "" && t.maybe[id] {
			continue
		}
		w.URL = m.ui.page(id, w.RunID)
		out = append(out, w)
	}
	return out
}

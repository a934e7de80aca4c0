package steps

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

// The re-run rule: a signal that comes while a local activity runs makes the
// server reject a task that would end the workflow, and everything since the
// last completed task runs again. Nobody outside notices.
func TestSignalDuringEachStep(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	refusing := newLLM(t, func(*http.Request, []string) (int, string) { return http.StatusUnauthorized, "wrong key" })
	refusedWay := way{name: "refused", text: "one", settings: object{"agent": refusing.agent(object{"quick": "always"})}}
	lines := map[string]*line{}
	for _, way := range []way{quickWay, regularWay, debouncedWay, refusedWay} {
		lines[way.name] = w.newLine(t, way.settings)
	}
	lines[quickWay.name].warm(t, "warm")

	type step struct {
		way   way
		point string
	}
	steps := []step{{regularWay, "CheckMessage"}, {debouncedWay, "CloseTurn"}, {refusedWay, "GiveUpTurn"}, {refusedWay, "FinishTurn"}}
	steps = append(steps, step{regularWay, "ClaimPart"}) // on the quick way, the part is claimed with the answer
	for _, point := range []string{"InboundMessage", "JoinTurn", "AnswerTurn", "Send", "ReceiptPart"} {
		steps = append(steps, step{quickWay, point}, step{regularWay, point})
	}
	for _, s := range steps {
		for _, when := range []string{before, after} {
			name := s.way.name + " " + when + " " + s.point
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := &death{kill: kill{way: s.way, when: when, point: s.point, nth: 1}, line: lines[s.way.name], chat: name}
				d.message = d.line.message(name)
				gate := w.gates.at(moment{When: when, Point: s.point, Chat: d.line.chat(name), Message: d.message, Platform: name})
				d.line.say(t, name, name, s.way.text)
				gate.wait(t)
				id := workflows.MessageWorkflowID(d.message)
				require.NoError(t, w.temporal.SignalWorkflow(t.Context(), id, "", activities.SignalWake, nil))
				gate.release()
				w.finished(t, id)
				if s.way.name == quickWay.name {
					require.True(t, w.rejected(t, id), "the whole way is one task, so the server rejects its end")
				}
				if s.way.name == refusedWay.name {
					w.failedOnce(t, d)
					return
				}
				d.line.hears(t, 5*time.Second, d.chat, d.way.want...)
				w.answeredOnce(t, d)
				if when == before && (s.point == "ReceiptPart" || s.point == "CloseTurn") {
					w.record(t, workflows.TypeMessage, s.way.name+"-signalled-"+s.point, id)
				}
			})
		}
	}
}

// rejected reports whether the server did not take a task because something
// came in while it ran.
func (s *site) rejected(t *testing.T, workflowID string) bool {
	t.Helper()
	for _, e := range s.history(t, workflowID) {
		if e.GetWorkflowTaskFailedEventAttributes().GetCause() == enumspb.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND {
			return true
		}
	}
	return false
}

// failedOnce checks that a message whose agent refused has left the events and
// the dead letter of one failure.
func (s *site) failedOnce(t *testing.T, d *death) {
	t.Helper()
	require.Equal(t, "failed", s.status(t, d.message))
	require.Equal(t, map[string]int{"message.received": 1, "identity.created": 1, "identity.resolved": 1, "access.checked": 1,
		"turn.started": 1, "agent.request": 1, "agent.error": 1, "turn.failed": 1}, s.events(t, d.message))
	require.Len(t, s.deadLetters(t, d.message), 1)
}

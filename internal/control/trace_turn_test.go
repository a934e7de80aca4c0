package control

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// Both steps are in the trace, whether the turn waited or not.
func TestTurnsAreJoinedAndClosed(t *testing.T) {
	t.Parallel()
	msg, began := uuid.New(), time.Now().UTC()
	step := func(name string, after time.Duration, types ...string) omni.TraceStep {
		return omni.TraceStep{Name: name, Status: "completed", StartedAt: began.Add(after), Attempts: 1,
			Detail: omni.TraceStepDetail{EventTypes: types}}
	}
	names := func(steps []omni.TraceStep) (out []string) {
		for _, s := range steps {
			out = append(out, s.Name)
		}
		return out
	}
	turn := &omni.TurnTrace{LeaderID: msg, CreatedAt: began.Add(2 * time.Millisecond)}
	want := []string{"access.Check", "turn.Join", "turn.Close", "agent.Reply"}

	at := 2 * time.Millisecond
	steps := joinAndClose(msg, []omni.TraceStep{step("access.Check", 1), step("turn.Join", at, "turn.started"), step("agent.Reply", at+1)}, turn)
	require.Equal(t, want, names(steps))
	require.Equal(t, steps[1].StartedAt, steps[2].StartedAt, "one transaction")

	waited := []omni.TraceStep{step("access.Check", 1), step("turn.Close", time.Second, "turn.started"), step("agent.Reply", 2*time.Second)}
	steps = joinAndClose(msg, waited, turn)
	require.Equal(t, want, names(steps))
	require.Equal(t, turn.CreatedAt, steps[1].StartedAt)
	require.Nil(t, steps[1].Detail.MessageID)

	waited = []omni.TraceStep{step("turn.Close", time.Second, "turn.started")}
	steps = joinAndClose(uuid.New(), waited, turn)
	require.Equal(t, &msg, steps[0].Detail.MessageID, "a follower's trace names the leader")

	require.Equal(t, []string{"access.Check"}, names(joinAndClose(msg, []omni.TraceStep{step("access.Check", 1)}, turn)), "it still waits")
}

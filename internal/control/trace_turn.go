package control

import (
	"slices"
	"sort"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// joinAndClose completes a turn's steps. turn.Join and turn.Close write one event
// between them (turn.started): the one that closed the turn. Where nothing was
// to wait for that was turn.Join, and the closing ran with it; else the turn's
// row says when its leader joined.
func joinAndClose(of uuid.UUID, steps []omni.TraceStep, turn *omni.TurnTrace) []omni.TraceStep {
	at := slices.IndexFunc(steps, func(s omni.TraceStep) bool {
		return slices.Contains(s.Detail.EventTypes, string(omni.EventTurnStarted))
	})
	if at < 0 {
		return steps
	}
	other := steps[at]
	switch other.Name {
	case activities.TurnJoin:
		other.Name = activities.TurnClose
	case activities.TurnClose:
		other = omni.TraceStep{Name: activities.TurnJoin, Status: "completed", StartedAt: turn.CreatedAt.UTC(), Attempts: 1}
		if turn.LeaderID != of {
			other.Detail.MessageID = &turn.LeaderID
		}
	default:
		return steps
	}
	steps = slices.Insert(steps, at+1, other)
	sort.SliceStable(steps, func(i, j int) bool { return steps[i].StartedAt.Before(steps[j].StartedAt) })
	return steps
}

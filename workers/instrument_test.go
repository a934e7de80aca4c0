package workers

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
)

func TestWhichStepsWriteDeadLetters(t *testing.T) {
	t.Parallel()
	outbound := activities.SendInput{Outbound: uuid.NullUUID{UUID: uuid.New(), Valid: true}}
	failed := activities.SendOutput{Outcome: activities.OutcomeFailed}
	dead := activities.FinishInput{Outcome: activities.OutcomeFailed, DeadLetter: activities.DeliverSend}
	for _, c := range []struct {
		in, out any
		want    string
	}{
		{activities.GiveUpInput{}, activities.ReplyOutput{State: activities.StateClosed}, activities.AgentReply},
		{activities.GiveUpInput{}, activities.ReplyOutput{State: activities.StateCancelled}, ""},
		{dead, activities.FinishOutput{Outcome: activities.OutcomeFailed}, activities.DeliverSend},
		{dead, activities.FinishOutput{Outcome: activities.OutcomeCancelled}, ""},
		{activities.FinishInput{Outcome: activities.OutcomeAnswered}, activities.FinishOutput{Outcome: activities.OutcomeAnswered}, ""},
		{outbound, failed, activities.DeliverSend},
		{activities.SendInput{}, failed, ""},
		{outbound, activities.SendOutput{Outcome: activities.OutcomeAnswered}, ""},
		{activities.CloseInput{}, activities.TurnView{}, ""},
	} {
		require.Equal(t, c.want, buried(c.in, c.out), "%+v", c)
	}
}

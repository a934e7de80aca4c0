package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

// BenchmarkMessage is everything the database does for a message that is
// answered at once, without the engine: five transactions.
func BenchmarkMessage(b *testing.B) {
	st, err := store.Open(b.Context(), testkit.Postgres(b), 8)
	require.NoError(b, err)
	b.Cleanup(st.Close)
	instance := uuid.New()
	closing := omni.ClosingParams{Provider: "echo", AnswerWithin: time.Minute, MediaWithin: time.Minute}
	n := 0
	spent := map[string]time.Duration{}
	var began time.Time
	lap := func(name string) {
		spent[name] += time.Since(began)
		began = time.Now()
	}
	for b.Loop() {
		n++
		began = time.Now()
		ctx, a := b.Context(), omni.Attempt{StartedAt: time.Now(), Number: 1}
		e := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now(), Seq: uint64(n),
			Event: message.Inbound{ID: fmt.Sprint(n), Kind: message.KindMessage, Timestamp: time.Now(), Chat: message.Chat{ID: fmt.Sprint("c", n)},
				Sender: message.Sender{ID: fmt.Sprint("u", n)}, Content: message.Content{Type: message.TypeText, Text: "hello"}}}
		e.MessageID = omni.MessageID(instance, e.ExternalKey())
		require.NoError(b, st.Record(ctx, []omni.Envelope{e}, uint64(n)))
		lap("record")
		v, err := st.JoinTurn(ctx, omni.JoinParams{ChatID: e.ChatID(), MessageID: e.MessageID, SessionKey: "chat", Agent: "instance",
			WorkflowID: workflowOf(e), TurnID: omni.TurnID(e.MessageID, 0), QuietCap: time.Minute, Close: true, Closing: closing, Attempt: a})
		require.NoError(b, err)
		require.Equal(b, "closed", v.State)
		lap("join")
		_, _, err = st.AnswerTurn(ctx, e.ChatID(), v.TurnID.UUID, workflowOf(e), v.Epoch, omni.Answer{Text: "hello",
			Parts: []message.Content{{Type: message.TypeText, Text: "hello"}}}, time.Minute, a)
		require.NoError(b, err)
		lap("answer")
		c, err := st.ClaimPart(ctx, omni.ClaimParams{ChatID: e.ChatID(), TurnID: v.TurnID.UUID, WorkflowID: workflowOf(e), Epoch: v.Epoch,
			Sender: "b/1/1", TTL: time.Hour, StartedAt: time.Now()})
		require.NoError(b, err)
		lap("claim")
		finished, _, err := st.ReceiptPart(ctx, omni.ReceiptParams{ChatID: e.ChatID(), MessageID: c.MessageID, Status: "sent", ExternalID: "x",
			TurnID: v.TurnID, WorkflowID: workflowOf(e), Epoch: v.Epoch, FinishAs: "answered", Attempt: a})
		require.NoError(b, err)
		require.True(b, finished)
		lap("receipt")
	}
	for name, d := range spent {
		b.ReportMetric(float64(d.Microseconds())/float64(n), "µs/"+name)
	}
}

package bus_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

func serveRaw(t *testing.T, conn *nats.Conn, id uuid.UUID, op channels.Operation, answer func(*nats.Msg) any) {
	t.Helper()
	sub, err := conn.Subscribe(channels.Subject("custom", id.String(), op), func(m *nats.Msg) {
		v := answer(m)
		if v == nil {
			return
		}
		b, ok := v.([]byte)
		if !ok {
			b, _ = json.Marshal(v)
		}
		_ = m.Respond(b)
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Unsubscribe() })
}

func TestSendMapsEveryAnswer(t *testing.T) {
	t.Parallel()
	at := time.Now().UTC().Truncate(time.Second)
	for name, c := range map[string]struct {
		answer  func(*nats.Msg) any
		want    *channels.SendError
		receipt message.Receipt
	}{
		"receipt": {answer: func(*nats.Msg) any { return channels.Reply{Receipt: &message.Receipt{ExternalID: "p1", At: at}} },
			receipt: message.Receipt{ExternalID: "p1", At: at}},
		"error": {answer: func(*nats.Msg) any {
			return channels.Reply{Error: &channels.ReplyError{Kind: channels.ErrRateLimited, Certain: true, RetryAfterMs: 1500, Reason: "slow down"}}
		}, want: &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, RetryAfter: 1500 * time.Millisecond, Reason: "slow down"}},
		"silence": {answer: func(*nats.Msg) any { return nil }, want: &channels.SendError{Kind: channels.ErrUnknown}},
		"garbage": {answer: func(*nats.Msg) any { return []byte("{") }, want: &channels.SendError{Kind: channels.ErrUnknown}},
		"empty":   {answer: func(*nats.Msg) any { return channels.Reply{} }, want: &channels.SendError{Kind: channels.ErrUnknown}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, conn := setup(t)
			id := instance(t)
			serveRaw(t, conn, id, channels.OpSend, c.answer)
			receipt, err := b.Send(t.Context(), "custom", id, channels.OpSend, message.Outbound{Key: "k"}, time.Now().Add(2*time.Second))
			if c.want == nil {
				require.NoError(t, err)
				require.Equal(t, c.receipt, receipt)
				return
			}
			var got *channels.SendError
			require.ErrorAs(t, err, &got)
			require.Equal(t, c.want.Kind, got.Kind)
			require.Equal(t, c.want.Certain, got.Certain)
			require.Equal(t, c.want.RetryAfter, got.RetryAfter)
		})
	}
}

func TestNobodyServingMeansNotSent(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	_, err := b.Send(t.Context(), "custom", instance(t), channels.OpSend, message.Outbound{}, time.Time{})
	var got *channels.SendError
	require.ErrorAs(t, err, &got)
	require.Equal(t, channels.ErrNotConnected, got.Kind)
	require.True(t, got.Certain)
	_, err = b.Outcome(t.Context(), "custom", instance(t), "k")
	require.ErrorAs(t, err, &got)
	require.Equal(t, channels.ErrNotConnected, got.Kind)
}

func TestSendCarriesDeadlineKeyAndTrace(t *testing.T) {
	t.Parallel()
	b, conn := setup(t)
	id := instance(t)
	headers := make(chan nats.Header, 1)
	serveRaw(t, conn, id, channels.OpSend, func(m *nats.Msg) any {
		headers <- m.Header
		return channels.Reply{Receipt: &message.Receipt{}}
	})
	deadline := time.Now().Add(time.Minute)
	_, err := b.Send(t.Context(), "custom", id, channels.OpSend, message.Outbound{Key: "k9"}, deadline)
	require.NoError(t, err)
	h := <-headers
	require.Equal(t, "k9", h.Get(channels.HeaderKey))
	got, err := time.Parse(time.RFC3339Nano, h.Get(channels.HeaderDeadline))
	require.NoError(t, err)
	require.True(t, deadline.Equal(got))
}

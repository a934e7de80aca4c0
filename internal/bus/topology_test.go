package bus_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/testkit"
)

func TestTopologyIsMadeOnceByAnyNumberOfProcesses(t *testing.T) {
	t.Parallel()
	srv := testkit.NATSServer(t)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		conn := testkit.NATSConn(t, srv)
		wg.Go(func() { _, errs[i] = bus.Open(t.Context(), conn, slog.New(slog.DiscardHandler)) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	js, err := jetstream.New(testkit.NATSConn(t, srv))
	require.NoError(t, err)
	for _, name := range []string{"CHANNEL", "MESSAGES", "IDENTITY", "ACCESS", "MEDIA", "AGENT"} {
		stream, err := js.Stream(t.Context(), name)
		require.NoError(t, err, name)
		cfg := stream.CachedInfo().Config
		if name == bus.StreamChannel {
			require.Equal(t, jetstream.DiscardNew, cfg.Discard)
			require.Equal(t, jetstream.DefaultPersistMode, cfg.PersistMode, "what just arrived is written through")
			require.GreaterOrEqual(t, cfg.Duplicates.Minutes(), 10.0)
		} else {
			require.Equal(t, jetstream.AsyncPersistMode, cfg.PersistMode)
		}
	}
	for _, bucket := range []string{"leases", "qr", "sessions", "presence", "typing", "temp"} {
		kv, err := js.KeyValue(t.Context(), bucket)
		require.NoError(t, err, bucket)
		status, err := kv.Status(t.Context())
		require.NoError(t, err)
		require.Positive(t, status.TTL(), bucket)
	}
}

func TestTopologyKeepsWhatAnOperatorChoseAndWhereConsumersStand(t *testing.T) {
	t.Parallel()
	b, conn := setup(t)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), bus.StreamMessages)
	require.NoError(t, err)
	cfg := stream.CachedInfo().Config
	cfg.MaxAge, cfg.Subjects = cfg.MaxAge*2, cfg.Subjects[1:] // an older program knew one type less
	_, err = js.UpdateStream(t.Context(), cfg)
	require.NoError(t, err)

	_, _, err = b.PublishInbound(t.Context(), inbound(instance(t), "1"))
	require.NoError(t, err)
	consumer, err := b.Consumer(t.Context(), bus.ConsumerRecorder)
	require.NoError(t, err)
	msg, err := consumer.Next()
	require.NoError(t, err)
	require.NoError(t, msg.DoubleAck(t.Context()))

	require.NoError(t, b.EnsureTopology(t.Context()))

	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, cfg.MaxAge, info.Config.MaxAge)
	require.Contains(t, info.Config.Subjects, "message.received.*.*.*")
	after, err := consumer.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, after.AckFloor.Stream)
}

func TestEveryEventTypeHasAStream(t *testing.T) {
	t.Parallel()
	for _, typ := range []omni.EventType{omni.EventChannelInbound, omni.EventChannelConnected, omni.EventChannelDisconnected, omni.EventChannelError,
		omni.EventMessageReceived, omni.EventMessageEdited, omni.EventMessageDeleted, omni.EventMessageReaction, omni.EventMessageSending,
		omni.EventMessageSent, omni.EventMessageDelivered, omni.EventMessageRead, omni.EventMessageFailed, omni.EventMessageUnknown,
		omni.EventMessageExpired, omni.EventIdentityCreated, omni.EventIdentityResolved, omni.EventAccessChecked,
		omni.EventAccessRuleCreated, omni.EventAccessRuleUpdated, omni.EventAccessRuleDeleted, omni.EventAccessPaired, omni.EventMediaReceived,
		omni.EventAgentRequest, omni.EventAgentResponse, omni.EventAgentError, omni.EventTurnStarted, omni.EventTurnCompleted,
		omni.EventTurnFailed, omni.EventTurnCancelled, omni.EventChatTakeover, omni.EventChatResumed} {
		_, ok := bus.StreamOf(typ)
		require.True(t, ok, typ)
	}
}

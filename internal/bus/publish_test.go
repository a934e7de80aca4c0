package bus_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
)

func instance(t *testing.T) uuid.UUID {
	t.Helper()
	return uuid.New()
}

func TestPublishInboundKnowsAnEventAgain(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	in := instance(t)
	first, duplicate, err := b.PublishInbound(t.Context(), inbound(in, "1"))
	require.NoError(t, err)
	require.False(t, duplicate)
	again, duplicate, err := b.PublishInbound(t.Context(), inbound(in, "1"))
	require.NoError(t, err)
	require.True(t, duplicate)
	require.Equal(t, first, again)
	_, duplicate, err = b.PublishInbound(t.Context(), inbound(instance(t), "1"))
	require.NoError(t, err)
	require.False(t, duplicate, "another instance's event of the same id is another event")
}

func TestGetInboundReadsWhatWasPublished(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	want := inbound(instance(t), "1")
	seq, _, err := b.PublishInbound(t.Context(), want)
	require.NoError(t, err)
	got, err := b.GetInbound(t.Context(), seq)
	require.NoError(t, err)
	require.Equal(t, seq, got.Seq)
	want.Seq = seq
	require.Equal(t, want, got)

	_, err = b.GetInbound(t.Context(), seq+1)
	require.ErrorIs(t, err, bus.ErrNotFound)
}

func TestGetInboundIsNotFooledByOtherEventsOfTheStream(t *testing.T) {
	t.Parallel()
	b, conn := setup(t)
	e := &omni.Event{ID: uuid.New(), TenantID: omni.DefaultTenant, Type: omni.EventChannelConnected, Channel: "custom", InstanceID: instance(t), Time: time.Now()}
	payload, err := omni.CloudEvent(*e)
	require.NoError(t, err)
	require.NoError(t, b.PublishEvents(t.Context(), []bus.OutgoingEvent{{Event: e, Payload: payload}}))
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), bus.StreamChannel)
	require.NoError(t, err)
	_, err = b.GetInbound(t.Context(), stream.CachedInfo().State.LastSeq)
	require.ErrorIs(t, err, bus.ErrNotFound)
}

func TestPublishEventsDropsWhatIsThereAndWhatHasNoStream(t *testing.T) {
	t.Parallel()
	b, conn := setup(t)
	var batch []bus.OutgoingEvent
	for i := range 600 {
		e := &omni.Event{ID: uuid.New(), TenantID: omni.DefaultTenant, Type: omni.EventMessageReceived, Channel: "custom",
			InstanceID: instance(t), Time: time.Now(), Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}
		if i == 7 {
			e.Type = "nobody.knows"
		}
		payload, err := omni.CloudEvent(*e)
		require.NoError(t, err)
		batch = append(batch, bus.OutgoingEvent{Event: e, Payload: payload})
	}
	require.NoError(t, b.PublishEvents(t.Context(), batch))
	require.NoError(t, b.PublishEvents(t.Context(), batch))
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), bus.StreamMessages)
	require.NoError(t, err)
	require.EqualValues(t, 599, stream.CachedInfo().State.Msgs)
}

func TestPublishEventsMakesALostStreamAgain(t *testing.T) {
	t.Parallel()
	b, conn := setup(t)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), bus.StreamMessages))
	e := &omni.Event{ID: uuid.New(), TenantID: omni.DefaultTenant, Type: omni.EventMessageReceived, Channel: "custom", InstanceID: instance(t)}
	batch := []bus.OutgoingEvent{{Event: e, Payload: []byte(`{}`)}}
	require.Error(t, b.PublishEvents(t.Context(), batch))
	require.NoError(t, b.PublishEvents(t.Context(), batch))
}

func TestReadInboundReadsExactlyTheRange(t *testing.T) {
	t.Parallel()
	b, _ := setup(t)
	in := instance(t)
	for i := range 20 {
		_, _, err := b.PublishInbound(t.Context(), inbound(in, fmt.Sprint(i)))
		require.NoError(t, err)
	}
	var got []uint64
	read := func(after, upTo uint64) []uint64 {
		got = nil
		require.NoError(t, b.ReadInbound(within(t, 10*time.Second), after, upTo, func(msg jetstream.Msg) error {
			meta, err := msg.Metadata()
			got = append(got, meta.Sequence.Stream)
			return err
		}))
		return got
	}
	require.Equal(t, []uint64{4, 5, 6}, read(3, 6))
	require.Len(t, read(0, 20), 20)
	require.Equal(t, []uint64{20}, read(19, 500))
	require.Empty(t, read(20, 20))
	require.Empty(t, read(20, 40))
}

func TestDecodeInboundRefusesPoisonAndCleansTheRest(t *testing.T) {
	t.Parallel()
	good := inbound(instance(t), "1")
	payload, err := omni.InboundCloudEvent(good)
	require.NoError(t, err)
	_, err = bus.DecodeInbound(payload, nats.Header{}, 3)
	require.NoError(t, err)

	for name, poison := range map[string][]byte{
		"no JSON":       []byte("\x00\x01"),
		"another event": []byte(`{"specversion":"1.0","type":"message.received","data":{}}`),
		"no ids":        []byte(`{"specversion":"1.0","type":"channel.inbound","data":{}}`),
	} {
		_, err := bus.DecodeInbound(poison, nats.Header{}, 1)
		require.Error(t, err, name)
	}

	forged := *good
	forged.MessageID = uuid.New()
	payload, err = omni.InboundCloudEvent(&forged)
	require.NoError(t, err)
	_, err = bus.DecodeInbound(payload, nats.Header{}, 1)
	require.ErrorContains(t, err, "does not follow")

	dirty := *good
	dirty.Event.Content.Text = "a\x00b"
	payload, err = omni.InboundCloudEvent(&dirty)
	require.NoError(t, err)
	clean, err := bus.DecodeInbound(payload, nats.Header{}, 1)
	require.NoError(t, err)
	require.Equal(t, "a\uFFFDb", clean.Event.Content.Text)
}

package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

func envelope(instance uuid.UUID, kind message.Kind, id string, seq uint64) omni.Envelope {
	e := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now().UTC(), Seq: seq,
		Event: message.Inbound{ID: id, Kind: kind, Timestamp: time.Now().UTC(), TargetID: "target", Chat: message.Chat{ID: "c1"},
			Sender: message.Sender{ID: "u1"}, Content: message.Content{Type: message.TypeText, Text: "text of " + id}}}
	e.MessageID = omni.MessageID(instance, e.ExternalKey())
	return e
}

func TestFloorOnlyRises(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	floor := func() uint64 {
		f, err := s.Floor(t.Context())
		require.NoError(t, err)
		return f
	}
	require.Zero(t, floor())
	require.NoError(t, s.Record(t.Context(), []omni.Envelope{envelope(uuid.New(), message.KindMessage, "1", 5)}, 5))
	require.EqualValues(t, 5, floor())
	require.NoError(t, s.RaiseFloor(t.Context(), 3))
	require.EqualValues(t, 5, floor())
	p := store.Poison{ID: uuid.New(), TenantID: omni.DefaultTenant, Error: "bad", Attempts: 1, Input: json.RawMessage(`{}`)}
	require.NoError(t, s.RecordPoison(t.Context(), p, 9))
	require.NoError(t, s.RecordPoison(t.Context(), p, 9), "kept once")
	require.EqualValues(t, 9, floor())
	var n int
	require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM dead_letters WHERE step = 'ingest.Record'").Scan(&n))
	require.Equal(t, 1, n)
}

func TestRecordedPlacesTellsRepeatedEvents(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	in := uuid.New()
	msg, edit := envelope(in, message.KindMessage, "1", 5), envelope(in, message.KindEdit, "2", 6)
	require.NoError(t, s.Record(t.Context(), []omni.Envelope{msg, edit}, 6))
	ids := []uuid.UUID{msg.MessageID, edit.MessageID, uuid.New()}
	places, err := s.RecordedPlaces(t.Context(), ids, time.Hour)
	require.NoError(t, err)
	require.Equal(t, map[uuid.UUID]uint64{msg.MessageID: 5}, places, "the edit may be the one just published")
	places, err = s.RecordedPlaces(t.Context(), ids, 0)
	require.NoError(t, err)
	require.Equal(t, map[uuid.UUID]uint64{msg.MessageID: 5, edit.MessageID: 0}, places)

	stub := omni.TargetMessageID(in, "target")
	places, err = s.RecordedPlaces(t.Context(), []uuid.UUID{stub}, 0)
	require.NoError(t, err)
	require.Empty(t, places, "the edited message itself has not come yet")
}

func TestChannelValues(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	a, b := uuid.New(), uuid.New()
	v, err := s.ChannelValue(t.Context(), a, "offset")
	require.NoError(t, err)
	require.Nil(t, v)
	require.NoError(t, s.PutChannelValue(t.Context(), omni.DefaultTenant, a, "offset", []byte("1")))
	require.NoError(t, s.PutChannelValue(t.Context(), omni.DefaultTenant, a, "offset", []byte("2")))
	require.NoError(t, s.PutChannelValue(t.Context(), omni.DefaultTenant, b, "offset", nil))
	v, err = s.ChannelValue(t.Context(), a, "offset")
	require.NoError(t, err)
	require.Equal(t, "2", string(v))
	require.NoError(t, s.DeleteChannelValue(t.Context(), a, "offset"))
	require.NoError(t, s.DeleteChannelValue(t.Context(), a, "offset"))
	v, err = s.ChannelValue(t.Context(), a, "offset")
	require.NoError(t, err)
	require.Nil(t, v)
}

func TestChatHistoryIsWhatPeopleSaw(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	in := uuid.New()
	var batch []omni.Envelope
	for i, id := range []string{"1", "2", "3"} {
		batch = append(batch, envelope(in, message.KindMessage, id, uint64(i+1)))
	}
	for _, e := range batch {
		require.NoError(t, s.Record(t.Context(), []omni.Envelope{e}, 0))
	}
	// An answer that existed before the third message, and was sent after it.
	answer := uuid.New()
	_, err := s.Pool().Exec(t.Context(), `INSERT INTO messages (id, tenant_id, instance_id, channel, chat_id, direction, content, status, created_at, sent_at, part_count)
		VALUES ($1, 'default', $2, 'custom', $3, 'outbound', '{"type":"text","text":"answer"}', 'sent', now() - interval '1 hour', clock_timestamp(), 1),
		       ($4, 'default', $2, 'custom', $3, 'outbound', '{"type":"text","text":"waits"}', 'queued', now(), NULL, 1)`,
		answer, in, batch[0].ChatID(), uuid.New())
	require.NoError(t, err)
	texts := func(after uuid.UUID, limit int) []string {
		items, err := s.ChatHistory(t.Context(), in, "c1", after, limit)
		require.NoError(t, err)
		out := []string{}
		for _, it := range items {
			require.Equal(t, it.ID == answer.String(), it.Outbound)
			out = append(out, it.Content.Text)
		}
		return out
	}
	require.Equal(t, []string{"text of 1", "text of 2", "text of 3", "answer"}, texts(uuid.Nil, 10))
	require.Equal(t, []string{"text of 3", "answer"}, texts(uuid.Nil, 2))
	require.Equal(t, []string{"text of 1", "text of 2"}, texts(batch[0].MessageID, 2))
	require.Equal(t, []string{"text of 3", "answer"}, texts(batch[2].MessageID, 10))
	require.Equal(t, []string{"answer"}, texts(answer, 10))
	require.Empty(t, texts(uuid.New(), 10))

	// Whoever comes back reads what was edited meanwhile, and of what is gone only that it is.
	_, err = s.Pool().Exec(t.Context(), `UPDATE messages SET content = '{"type":"text","text":"edited"}' WHERE id = $1`, answer)
	require.NoError(t, err)
	_, err = s.Pool().Exec(t.Context(), `UPDATE messages SET deleted_at = now() WHERE id = $1`, batch[2].MessageID)
	require.NoError(t, err)
	require.Equal(t, []string{"text of 1", "text of 2", "edited"}, texts(uuid.Nil, 10))
	require.Equal(t, []string{"text of 2", "", "edited"}, texts(batch[1].MessageID, 10))
	items, err := s.ChatHistory(t.Context(), in, "c1", batch[2].MessageID, 10)
	require.NoError(t, err)
	require.Equal(t, []bool{true, false}, []bool{items[0].Deleted, items[1].Deleted})
}

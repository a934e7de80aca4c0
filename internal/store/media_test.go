package store_test

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// attachedTo is a message with one attachment.
func (w *world) attachedTo(chat, id, url string) omni.Envelope {
	w.t.Helper()
	e := w.inbound(chat, "ana", id, "look")
	e.Event.Content = message.Content{Type: message.TypeImage, Text: "look", Media: []message.Media{{Type: message.TypeImage, URL: url}}}
	w.record(e)
	return e
}

func (w *world) attachment(e omni.Envelope, state omni.MediaState) omni.MediaFile {
	f := omni.MediaFile{ID: omni.MediaID(e.MessageID, 0), MessageID: e.MessageID, Type: message.TypeImage, MimeType: "image/png", State: state}
	if state == omni.MediaReceived {
		f.Size, f.SHA256 = 10, "sum"
	} else {
		f.Reason, f.Error = omni.MediaGone, "404"
	}
	return f
}

func (w *world) media(id uuid.UUID) (list []message.Media) {
	w.t.Helper()
	var raw []byte
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT content -> 'media' FROM messages WHERE id = $1`, id).Scan(&raw))
	require.NoError(w.t, json.Unmarshal(raw, &list))
	return list
}

// What became of an attachment is said once, with an event; the message names
// what can be read.
func TestTheFateOfAnAttachmentIsSaidOnce(t *testing.T) {
	t.Parallel()
	for first, second := range map[omni.MediaState]omni.MediaState{omni.MediaReceived: omni.MediaFailed, omni.MediaFailed: omni.MediaReceived} {
		w := newWorld(t)
		e := w.attachedTo("c1", "m1", "http://files.test/a")
		for _, state := range []omni.MediaState{first, second, first} {
			require.NoError(t, w.RecordMedia(t.Context(), w.attachment(e, state), "http://files.test/a", w.attempt()))
		}
		known, err := w.MediaKnown(t.Context(), e.MessageID)
		require.NoError(t, err)
		require.Equal(t, []int{0}, known)
		f, err := w.Media(t.Context(), omni.DefaultTenant, omni.MediaID(e.MessageID, 0))
		require.NoError(t, err)
		require.Equal(t, first, f.State)
		require.Equal(t, 1, count(w.story(e.MessageID), "media."+string(first)))
		require.Zero(t, count(w.story(e.MessageID), "media."+string(second)))
		m := w.media(e.MessageID)[0]
		require.Equal(t, first == omni.MediaReceived, m.ID == f.ID.String(), "%+v", m)
		require.Equal(t, "http://files.test/a", m.URL)
		_, err = w.Media(t.Context(), "another", f.ID)
		require.ErrorIs(t, err, omni.ErrNotFound)
	}
}

// The message was edited while its attachment was fetched: that is no longer
// the one it has.
func TestAnAttachmentThatWasReplacedIsNotNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.attachedTo("c1", "m1", "http://files.test/new")
	require.NoError(t, w.RecordMedia(t.Context(), w.attachment(e, omni.MediaReceived), "http://files.test/old", w.attempt()))
	require.Empty(t, w.media(e.MessageID)[0].ID)
	require.Equal(t, 1, count(w.story(e.MessageID), "media.received"))
}

// What was had by a channel's handle is known by it: an edit that puts another
// attachment in its place is not said to be what was fetched.
func TestAnAttachmentIsKnownByItsHandle(t *testing.T) {
	t.Parallel()
	for from, known := range map[string]bool{"AgADfile": true, "AgADother": false, "": false} {
		w := newWorld(t)
		e := w.inbound("c1", "ana", "m1", "look")
		e.Event.Content = message.Content{Type: message.TypeImage, Media: []message.Media{{Type: message.TypeImage, Ref: "AgADfile"}}}
		w.record(e)
		require.NoError(t, w.RecordMedia(t.Context(), w.attachment(e, omni.MediaReceived), from, w.attempt()))
		require.Equal(t, known, w.media(e.MessageID)[0].ID != "", from)
	}
}

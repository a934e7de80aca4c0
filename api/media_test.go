package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

const mediaPath = "/api/v1/media/"

// attached is a received message with an attachment that was, or was not, fetched.
func (h *hub) attached(state omni.MediaState, kind, name string) uuid.UUID {
	h.t.Helper()
	return h.attach(h.received(h.instance(), "c1", uuid.NewString(), "look"), state, kind, name, "0123456789")
}

// attach says what became of a message's attachment.
func (h *hub) attach(id uuid.UUID, state omni.MediaState, kind, name, bytes string) uuid.UUID {
	h.t.Helper()
	f := omni.MediaFile{ID: omni.MediaID(id, 0), MessageID: id, Type: message.TypeDocument, MimeType: kind, Filename: name, State: state}
	if state == omni.MediaReceived {
		info, err := h.blobs.Put(f.ID, strings.NewReader(bytes), 100)
		require.NoError(h.t, err)
		f.Size, f.SHA256 = info.Size, info.SHA256
	} else {
		f.Reason, f.Error = omni.MediaGone, "its server answered 404"
	}
	require.NoError(h.t, h.store.RecordMedia(h.t.Context(), f, "http://files.test", omni.Attempt{Number: 1}))
	return f.ID
}

func TestAttachmentsAreRead(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.attached(omni.MediaReceived, "application/pdf", "Quittung \"März\".pdf")
	a := h.admin(http.MethodGet, mediaPath+id.String(), nil)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "0123456789", string(a.body))
	require.Equal(t, "application/pdf", a.header.Get("Content-Type"))
	require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	require.True(t, strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment"), "no browser opens it as a page of this host")
	etag := a.header.Get("ETag")
	require.NotEmpty(t, etag)
	for span, want := range map[string]string{"bytes=2-4": "234", "bytes=8-": "89", "bytes=-1": "9"} {
		a = h.admin(http.MethodGet, mediaPath+id.String(), nil, "Range", span)
		require.Equal(t, http.StatusPartialContent, a.status, span)
		require.Equal(t, want, string(a.body))
	}
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, h.admin(http.MethodGet, mediaPath+id.String(), nil, "Range", "bytes=50-").status)
	require.Equal(t, http.StatusNotModified, h.admin(http.MethodGet, mediaPath+id.String(), nil, "If-None-Match", etag).status)
}

func TestAttachmentsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	failed := h.admin(http.MethodGet, mediaPath+h.attached(omni.MediaFailed, "", "").String(), nil)
	require.Equal(t, http.StatusConflict, failed.status)
	require.Equal(t, "media_failed", failed.code(t))
	require.Equal(t, http.StatusNotFound, h.admin(http.MethodGet, mediaPath+uuid.NewString(), nil).status)
	odd := h.attached(omni.MediaReceived, "text/html\r\nX-Evil: 1", "")
	a := h.admin(http.MethodGet, mediaPath+odd.String(), nil)
	require.Equal(t, "application/octet-stream", a.header.Get("Content-Type"))
	require.Empty(t, a.header.Get("X-Evil"))

	created := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "other", "scopes": []string{"media:read"},
		"instanceIds": []uuid.UUID{h.instance()}})
	require.Equal(t, http.StatusCreated, created.status, "%s", created.body)
	var other struct{ Key string }
	created.data(t, &other)
	require.Equal(t, http.StatusNotFound, h.call(other.Key, http.MethodGet, mediaPath+odd.String(), nil).status, "an instance that the key does not see")
	require.Equal(t, http.StatusForbidden, h.call(h.key("messages:read"), http.MethodGet, mediaPath+odd.String(), nil).status)
	require.Equal(t, http.StatusOK, h.call(h.key("media:read"), http.MethodGet, mediaPath+odd.String(), nil).status)
}

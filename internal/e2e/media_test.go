package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/testkit"
	"go.temporal.io/sdk/client"

	"github.com/omnihub/omni/workflows"
)

// files serves attachments, each once it is let go.
type files struct {
	*httptest.Server
	let   chan struct{}
	asked chan string
}

func newFiles(t *testing.T) *files {
	t.Helper()
	f := &files{let: make(chan struct{}), asked: make(chan string, 100)}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked <- r.URL.Path
		if r.URL.Path == "/gone.ogg" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		select {
		case <-f.let:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, "0123456789")
	}))
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *files) content(text, path, kind string) object {
	return object{"content": object{"type": kind, "text": text, "media": []object{{"type": kind, "url": f.URL + path}}}}
}

type attached struct {
	ID      string
	Status  string
	Content struct {
		Media []struct{ ID, MimeType string }
	}
}

// A window waits for the attachments of all its messages, leader's and
// follower's; one that cannot be had is a note. What was fetched is read by
// its id, also a piece of it.
func TestAttachments(t *testing.T) {
	t.Parallel()
	temporalPort := testkit.FreePort(t)
	h := newHub(t, "OMNI_TEMPORAL_PORT="+strconv.Itoa(temporalPort))
	f := newFiles(t)
	l := h.newLine(object{"messaging": object{"debounceMode": "fixed", "debounceMs": 200}})
	first := l.tell("message", "m1", dm("c1"), f.content("look", "/a.png", "image"))
	require.Equal(t, "/a.png", <-f.asked)
	second := l.tell("message", "m2", dm("c1"), f.content("and this", "/b.png", "image"))
	require.Equal(t, "/b.png", <-f.asked)
	third := l.tell("message", "m3", dm("c1"), f.content("hear", "/gone.ogg", "audio"))
	require.Equal(t, "/gone.ogg", <-f.asked)
	f.let <- struct{}{}
	l.staysAt("c1", nil) // one of them is still on its way
	f.let <- struct{}{}
	require.Equal(t, []string{"look\nand this\nhear"}, l.hears(20*time.Second, "c1", 1))

	for _, id := range []string{first, second} {
		var m attached
		h.call(http.MethodGet, "/api/v1/messages/"+id, nil, &m)
		require.Len(t, m.Content.Media, 1)
		require.Equal(t, "image/png", m.Content.Media[0].MimeType)
		require.Equal(t, "0123456789", h.bytes(t, m.Content.Media[0].ID, "", http.StatusOK))
		require.Equal(t, "345", h.bytes(t, m.Content.Media[0].ID, "bytes=3-5", http.StatusPartialContent))
	}
	for id, want := range map[string]string{first: "media.received", second: "media.received", third: "media.failed"} {
		said := h.eventLog("type=media.*&correlationId=" + id)
		require.Len(t, said, 1)
		require.Equal(t, want, said[0].Type)
	}

	c, err := client.Dial(client.Options{HostPort: "127.0.0.1:" + strconv.Itoa(temporalPort)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	for name, id := range map[string]string{"attachments-leader": first, "attachments-follower": second} {
		hist := completedHistory(t, c, workflows.MessageWorkflowID(uuid.MustParse(id)))
		require.NotEmpty(t, hist.GetEvents())
		if *historiesInto != "" {
			write(t, hist, workflows.TypeMessage, name)
		}
	}
}

// What somebody who is blocked attaches is fetched only where the instance
// wants it all the same.
func TestAttachmentsOfTheBlocked(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	f := newFiles(t)
	close(f.let)
	for _, anyway := range []bool{true, false} {
		l := h.newLine(object{"access": object{"mode": "blocklist"}, "media": object{"processOnBlocked": anyway}})
		h.rule(object{"instanceId": l.id, "type": "deny", "match": object{"platformUserId": "*"}})
		id := l.tell("message", "m1", dm("c1"), f.content("look", "/blocked.png", "image"))
		require.Equal(t, "denied", l.settled(20*time.Second, id)[id])
		if anyway {
			require.Equal(t, "/blocked.png", <-f.asked)
			require.Eventually(t, func() bool { return len(h.eventLog("type=media.received&correlationId="+id)) == 1 }, 20*time.Second, 20*time.Millisecond)
			var m attached
			h.call(http.MethodGet, "/api/v1/messages/"+id, nil, &m)
			require.Equal(t, "0123456789", h.bytes(t, m.Content.Media[0].ID, "", http.StatusOK))
			continue
		}
		// Of the same person's next message it is known that nothing was fetched before.
		l.ends("m2", "c1", "denied")
		require.Empty(t, f.asked)
		require.Empty(t, h.eventLog("type=media.*&correlationId="+id))
	}
}

// bytes reads an attachment, or the range of it.
func (h *hub) bytes(t *testing.T, id, span string, status int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url("/api/v1/media/"+id), nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+apiKey)
	if span != "" {
		req.Header.Set("Range", span)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, status, resp.StatusCode, string(b))
	require.Equal(t, "image/png", resp.Header.Get("Content-Type"))
	return string(b)
}

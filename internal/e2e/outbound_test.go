package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sent is the answer to POST /messages.
type sent struct {
	ID, Status string
	Repeated   bool
	Code       string // of a refusal
}

// post sends a message with an Idempotency-Key ("" for none).
func (l *line) post(key, query string, body object) (int, sent) {
	l.hub.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(l.hub.t, err)
	req, err := http.NewRequestWithContext(l.hub.t.Context(), http.MethodPost, l.hub.url("/api/v1/messages"+query), bytes.NewReader(raw))
	require.NoError(l.hub.t, err)
	req.Header.Set("x-api-key", apiKey)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(l.hub.t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(l.hub.t, err)
	var out struct {
		Data sent
		Code string
	}
	require.NoError(l.hub.t, json.Unmarshal(answer, &out), string(answer))
	out.Data.Code = out.Code
	return resp.StatusCode, out.Data
}

// text is the body of a text for a chat.
func (l *line) text(chat, text string) object {
	return object{"instanceId": l.id, "to": chat, "content": object{"type": "text", "text": text}}
}

// becomes waits until a message has a status.
func (l *line) becomes(id, want string, within time.Duration) {
	l.hub.t.Helper()
	var status string
	require.Eventually(l.hub.t, func() bool {
		code, raw, err := l.hub.try(http.MethodGet, "/api/v1/messages/"+id, nil)
		var m struct{ Data struct{ Status string } }
		if err == nil && code == http.StatusOK && json.Unmarshal(raw, &m) == nil {
			status = m.Data.Status
		}
		return status == want
	}, within, 50*time.Millisecond, "message %s becomes %s", id, want)
}

func TestOutbound(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	l := h.newLine(object{"agent": nil})

	h.share(t, "the same key sends once", func(t *testing.T) {
		status, first := l.post("order-1", "", l.text("c1", "your order is ready"))
		require.Equal(t, http.StatusAccepted, status)
		require.Equal(t, "queued", first.Status)
		l.hears(10*time.Second, "c1", 1)
		status, again := l.post("order-1", "", l.text("c1", "your order is ready"))
		require.Equal(t, http.StatusAccepted, status)
		require.Equal(t, first.ID, again.ID)
		status, other := l.post("order-1", "", l.text("c1", "something else"))
		require.Equal(t, http.StatusUnprocessableEntity, status)
		require.Equal(t, "idempotency_key_reused", other.Code)
		// Messages of one chat leave in order: a second bubble would come first.
		_, last := l.post("", "", l.text("c1", "thanks"))
		l.becomes(last.ID, "sent", 10*time.Second)
		require.Equal(t, []string{"your order is ready", "thanks"}, l.out.Texts("c1"))
	})

	h.share(t, "wait answers with the outcome", func(t *testing.T) {
		status, s := l.post("", "?wait=10", l.text("c2", "hello"))
		require.Equal(t, http.StatusAccepted, status)
		require.Equal(t, "sent", s.Status)
		require.Equal(t, []string{"hello"}, l.out.Texts("c2"))
	})

	h.share(t, "later", func(t *testing.T) { sendsLater(t, l) })

	h.share(t, "later, through a kill", func(t *testing.T) {
		at := time.Now().Add(6 * time.Second)
		kept, cancelled := l.schedule("c5", "kept", at), l.schedule("c5", "cancelled", at.Add(time.Hour))
		require.Contains(t, l.scheduled(), kept)
		h.kill()
		h.start()
		require.Contains(t, l.scheduled(), cancelled)
		require.Equal(t, http.StatusNoContent, h.call(http.MethodDelete, "/api/v1/messages/"+cancelled, nil, nil))
		require.NotContains(t, l.scheduled(), cancelled)
		l.becomes(kept, "sent", 30*time.Second)
		require.Equal(t, http.StatusConflict, h.call(http.MethodDelete, "/api/v1/messages/"+kept, nil, nil))
		bubbles := l.out.Bubbles()
		require.False(t, bubbles[len(bubbles)-1].At.Before(at), "not before its time")
		l.staysAt("c5", []string{"kept"})
	})

	h.share(t, "killed right after the acknowledgement", func(t *testing.T) {
		status, s := l.post("kill-1", "", l.text("c4", "acknowledged"))
		require.Equal(t, http.StatusAccepted, status)
		h.kill()
		restarted := time.Now()
		h.start()
		l.hears(answeredWithin-time.Since(restarted), "c4", 1)
		l.becomes(s.ID, "sent", 10*time.Second)
		// The caller did not see the answer either, and asks once more.
		status, again := l.post("kill-1", "", l.text("c4", "acknowledged"))
		require.Equal(t, http.StatusAccepted, status)
		require.Equal(t, s.ID, again.ID)
		_, last := l.post("", "", l.text("c4", "the end"))
		l.becomes(last.ID, "sent", 10*time.Second)
		require.Equal(t, []string{"acknowledged", "the end"}, l.out.Texts("c4"))
	})
}

// sendsLater schedules two messages and cancels one: it is not sent, and the
// other one not before its time.
func sendsLater(t *testing.T, l *line) {
	at := time.Now().Add(4 * time.Second)
	cancelled, kept := l.schedule("c3", "cancelled", at), l.schedule("c3", "kept", at)
	require.Less(t, l.hub.call(http.MethodDelete, "/api/v1/messages/"+cancelled, nil, nil), 300)
	l.becomes(cancelled, "cancelled", 5*time.Second)
	l.becomes(kept, "sent", 20*time.Second)
	bubbles := l.out.Bubbles()
	require.False(t, bubbles[len(bubbles)-1].At.Before(at), "not before its time")
	require.Equal(t, []string{"kept"}, l.out.Texts("c3"))
	l.becomes(cancelled, "cancelled", 5*time.Second)
}

// schedule asks for a text to be sent at a time.
func (l *line) schedule(chat, text string, at time.Time) string {
	l.hub.t.Helper()
	body := l.text(chat, text)
	body["sendAt"] = at.UTC().Format(time.RFC3339Nano)
	status, s := l.post("", "", body)
	require.Equal(l.hub.t, http.StatusAccepted, status)
	require.Equal(l.hub.t, "scheduled", s.Status)
	return s.ID
}

// scheduled lists what waits for its time.
func (l *line) scheduled() []string {
	l.hub.t.Helper()
	var list []struct{ ID, SendAt string }
	l.hub.call(http.MethodGet, "/api/v1/messages?status=scheduled&instanceId="+l.id, nil, &list)
	ids := make([]string, len(list))
	for i, m := range list {
		require.NotEmpty(l.hub.t, m.SendAt)
		ids[i] = m.ID
	}
	return ids
}

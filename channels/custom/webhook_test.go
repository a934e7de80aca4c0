package custom

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
	"github.com/omnihub/omni/channels/custom/customtest"
)

type webhookCase struct {
	cfg    channels.Config
	sink   *channeltest.Sink
	secret string
}

func newWebhookCase(t *testing.T) webhookCase {
	t.Helper()
	secret := customtest.NewSecret()
	values, err := json.Marshal(config{Secret: secret})
	require.NoError(t, err)
	return webhookCase{cfg: channels.Config{Values: values}, sink: channeltest.NewSink(), secret: secret}
}

func (c webhookCase) post(ctx context.Context, body string) (channels.WebhookResponse, error) {
	now := time.Now()
	return Channel{}.ReceiveWebhook(ctx, c.cfg, channels.WebhookRequest{Method: http.MethodPost, Body: []byte(body), Now: now,
		Header: customtest.Header(c.secret, "m1", now, []byte(body))}, c.sink)
}

func refusal(t *testing.T, err error) *channels.WebhookError {
	t.Helper()
	var refused *channels.WebhookError
	require.ErrorAs(t, err, &refused)
	require.NotEmpty(t, refused.Code)
	require.NotEmpty(t, refused.Detail)
	return refused
}

const minimal = `{"id":"e1","kind":"message","chat":{"id":"c1"},"sender":{"id":"u1"},"content":{"text":"hi"}}`

func TestWebhookAnswersWithTheMessage(t *testing.T) {
	t.Parallel()
	c := newWebhookCase(t)
	resp, err := c.post(t.Context(), minimal)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, resp.Status)
	id := c.sink.Stored()[0].Ack.MessageID
	require.JSONEq(t, `{"data":{"id":"`+id+`","duplicate":false}}`, string(resp.Body))
	resp, err = c.post(t.Context(), minimal)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, resp.Status)
	require.JSONEq(t, `{"data":{"id":"`+id+`","duplicate":true}}`, string(resp.Body))
}

func TestWebhookChecksTheSignatureFirst(t *testing.T) {
	t.Parallel()
	c := newWebhookCase(t)
	c.secret = customtest.NewSecret()
	for _, body := range []string{minimal, "not json", ""} {
		_, err := c.post(t.Context(), body)
		require.Equal(t, http.StatusUnauthorized, refusal(t, err).Status, body)
	}
	require.Zero(t, c.sink.Attempts())
}

func TestWebhookNamesTheField(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 10<<20)
	tests := []struct {
		field  string
		status int
		body   string
	}{
		{"body", 400, ``},
		{"body", 400, `{"id":`},
		{"body", 400, `[]`},
		{"body", 400, `"x"`},
		{"body", 400, minimal + `{}`},
		{"body", 400, "{\"id\":\"a\x00\"}"},
		{"id", 400, `{}`},
		{"id", 400, `null`},
		{"id", 400, `{"id":7}`},
		{"id", 400, strings.Replace(minimal, `"e1"`, `"a\u0000b"`, 1)},
		{"id", 400, strings.Replace(minimal, `"e1"`, "\"a\xffb\"", 1)},
		{"id", 400, strings.Replace(minimal, `"e1"`, `"`+strings.Repeat("i", 513)+`"`, 1)},
		{"kind", 400, `{"id":"e1"}`},
		{"kind", 400, strings.Replace(minimal, `"message"`, `"telepathy"`, 1)},
		{"chat.id", 400, strings.Replace(minimal, `"c1"`, `" "`, 1)},
		{"chat.id", 400, strings.Replace(minimal, `"c1"`, `{}`, 1)},
		{"chat", 400, strings.Replace(minimal, `{"id":"c1"}`, `"c1"`, 1)},
		{"chat.type", 400, strings.Replace(minimal, `{"id":"c1"}`, `{"id":"c1","type":"crowd"}`, 1)},
		{"sender.id", 400, strings.Replace(minimal, `"u1"`, `""`, 1)},
		{"content", 400, strings.Replace(minimal, `{"text":"hi"}`, `{}`, 1)},
		{"content.text", 400, strings.Replace(minimal, `{"text":"hi"}`, `{"type":"text"}`, 1)},
		{"content.text", 400, strings.Replace(minimal, `"hi"`, `[1]`, 1)},
		{"content.type", 400, strings.Replace(minimal, `{"text":"hi"}`, `{"type":"smell"}`, 1)},
		{"content.media", 400, strings.Replace(minimal, `{"text":"hi"}`, `{"type":"image","text":"x"}`, 1)},
		{"content.media[0].url", 400, strings.Replace(minimal, `{"text":"hi"}`, `{"media":[{"type":"image"}]}`, 1)},
		{"content.media[1].url", 400, strings.Replace(minimal, `{"text":"hi"}`,
			`{"media":[{"type":"image","url":"https://a.example/x"},{"type":"image","url":"file:///etc/passwd"}]}`, 1)},
		{"content.media[0].type", 400, strings.Replace(minimal, `{"text":"hi"}`, `{"media":[{"type":"poll","url":"https://a.example/x"}]}`, 1)},
		{"content.location.latitude", 400, strings.Replace(minimal, `{"text":"hi"}`, `{"location":{"latitude":91,"longitude":0}}`, 1)},
		{"timestamp", 400, strings.Replace(minimal, `{`, `{"timestamp":"yesterday",`, 1)},
		{"timestamp", 400, strings.Replace(minimal, `{`, `{"timestamp":1700000000,`, 1)},
		{"timestamp", 400, strings.Replace(minimal, `{`, `{"timestamp":"10000-01-01T00:00:00Z",`, 1)},
		{"targetId", 400, strings.Replace(minimal, `"message"`, `"edit"`, 1)},
		{"targetId", 400, strings.Replace(minimal, `"message"`, `"delete"`, 1)},
		{"targetId", 400, strings.Replace(minimal, `"message"`, `"read"`, 1)},
		{"content.reaction", 400, strings.Replace(strings.Replace(minimal, `"message"`, `"reaction"`, 1), `{`, `{"targetId":"x",`, 1)},
		{"content.text", 413, strings.Replace(minimal, `"hi"`, `"`+strings.Repeat("x", maxText+1)+`"`, 1)},
		{"body", 413, strings.Replace(minimal, `"hi"`, `"`+big+`"`, 1)},
		{"body", 413, strings.Replace(minimal, `"hi"`, `"`+strings.Repeat("<", maxText)+`"`, 1)},
	}
	for _, tt := range tests {
		c := newWebhookCase(t)
		_, err := c.post(t.Context(), tt.body)
		shown := tt.body[:min(len(tt.body), 200)]
		require.Error(t, err, shown)
		refused := refusal(t, err)
		require.Equal(t, tt.field, refused.Field, "%s: %s", shown, refused.Detail)
		require.Equal(t, tt.status, refused.Status, shown)
		require.Zero(t, c.sink.Attempts(), shown)
	}
}

func TestWebhookRefusesAddressesThatAreNotCalled(t *testing.T) {
	t.Parallel()
	c := newWebhookCase(t)
	c.cfg.CheckURL = func(u string) error {
		require.Equal(t, "http://10.0.0.1/x", u)
		return context.DeadlineExceeded
	}
	_, err := c.post(t.Context(), strings.Replace(minimal, `{"text":"hi"}`, `{"media":[{"type":"image","url":"http://10.0.0.1/x"}]}`, 1))
	require.Equal(t, "content.media[0].url", refusal(t, err).Field)
}

func TestWebhookReplacesAbsurdDates(t *testing.T) {
	t.Parallel()
	for _, absurd := range []string{"9999-12-31T23:59:59Z", "1969-07-20T20:17:00Z", "0001-01-01T00:00:00Z",
		time.Now().Add(time.Hour).Format(time.RFC3339)} {
		c := newWebhookCase(t)
		_, err := c.post(t.Context(), strings.Replace(minimal, `{`, `{"timestamp":"`+absurd+`",`, 1))
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), c.sink.Stored()[0].Event.Timestamp, time.Minute)
	}
	c := newWebhookCase(t)
	_, err := c.post(t.Context(), strings.Replace(minimal, `{`, `{"timestamp":"2001-02-03T04:05:06.789+02:00",`, 1))
	require.NoError(t, err)
	require.Equal(t, "2001-02-03T02:05:06.789Z", c.sink.Stored()[0].Event.Timestamp.Format(time.RFC3339Nano))
}

func TestWebhookAsksForTheEventAgainWhenItIsNotStored(t *testing.T) {
	t.Parallel()
	c := newWebhookCase(t)
	c.sink.FailNext(1)
	_, err := c.post(t.Context(), minimal)
	require.Equal(t, http.StatusServiceUnavailable, refusal(t, err).Status)
	require.ErrorIs(t, err, channeltest.ErrSink, "the cause is there for the log")
}

func TestWebhookTakesOnlyPost(t *testing.T) {
	t.Parallel()
	c := newWebhookCase(t)
	_, err := Channel{}.ReceiveWebhook(t.Context(), c.cfg, channels.WebhookRequest{Method: http.MethodGet, Now: time.Now()}, c.sink)
	require.Equal(t, http.StatusMethodNotAllowed, refusal(t, err).Status)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(`{"id":"\u0000","kind":"edit","chat":{"id":"\ud800"},"timestamp":"9999-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"id":"a","kind":"message","chat":{"id":"b"},"sender":{"id":"c"},"content":{"media":[{"url":"file:///x"}],"poll":{"options":["\u0000"]}}}`))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := parse(body, now, channels.Config{}.CheckFetchable)
		if err != nil {
			var refused *channels.WebhookError
			require.ErrorAs(t, err, &refused)
			return
		}
		encoded, err := json.Marshal(in)
		require.NoError(t, err)
		require.NotContains(t, string(encoded), `\u0000`, "no store takes a NUL")
		require.LessOrEqual(t, len(encoded), maxEvent)
		require.NotEmpty(t, in.ID)
		require.NotEmpty(t, in.Chat.ID)
		require.False(t, in.Timestamp.Before(oldest) || in.Timestamp.After(now.Add(tolerance)))
	})
}

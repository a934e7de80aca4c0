package custom

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/channels/message"
)

func startAt(t *testing.T, secret, callbackURL string) channels.Session {
	t.Helper()
	hub := channeltest.NewHub(t, Channel{})
	values, err := json.Marshal(config{Secret: secret, CallbackURL: callbackURL})
	require.NoError(t, err)
	hub.SetValues(values)
	return hub.Start(t)
}

func TestSendPostsTheContractsBody(t *testing.T) {
	t.Parallel()
	secret := customtest.NewSecret()
	r, err := customtest.NewReceiver(secret)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	s := startAt(t, secret, r.URL())
	out := message.Outbound{ID: "m-1", Key: "k-1", Kind: message.KindMessage, Chat: message.Chat{ID: "c1"},
		Content: message.Content{Type: message.TypeText, Text: "hello"}, Part: message.Part{Index: 0, Count: 2}, ReplyTo: "ext-1"}
	_, err = s.Send(t.Context(), out)
	require.NoError(t, err)
	call := r.Calls()[0]
	require.True(t, call.Verified)
	require.Equal(t, "k-1", call.Header.Get("webhook-id"))
	require.JSONEq(t, `{"id":"m-1","idempotencyKey":"k-1","chat":{"id":"c1"},"content":{"type":"text","text":"hello"},
		"part":{"index":0,"count":2},"replyTo":"ext-1","kind":"message"}`, string(call.Body))

	reaction := message.Outbound{ID: "m-2", Key: "k-2", Chat: out.Chat, TargetID: "ext-1",
		Content: message.Content{Type: message.TypeReaction, Reaction: &message.Reaction{Emoji: "👍"}}}
	require.NoError(t, s.(channels.Reactor).React(t.Context(), reaction))
	require.NoError(t, s.(channels.Typer).Typing(t.Context(), out.Chat))
	calls := r.Calls()
	require.Equal(t, message.KindReaction, calls[1].Message.Kind)
	require.Equal(t, "ext-1", calls[1].Message.TargetID)
	require.Equal(t, message.KindTyping, calls[2].Message.Kind)
}

func TestSendReadsTheAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		header map[string]string
		body   string
		id     string // of the receipt
		want   channels.SendError
	}{
		{name: "with an id", status: 200, body: `{"id":"x-1"}`, id: "x-1"},
		{name: "with a number", status: 201, body: `{"id":12345678901234567890}`, id: "12345678901234567890"},
		{name: "with a number too long to be kept", status: 200, body: `{"id":1` + strings.Repeat("7", 60_000) + `}`, id: "m-1"},
		{name: "without an id", status: 204, id: "m-1"},
		{name: "with nonsense", status: 200, body: `<html>`, id: "m-1"},
		{name: "with another type", status: 200, body: `{"id":{"a":1}}`, id: "m-1"},
		{name: "429", status: 429, header: map[string]string{"Retry-After": "7"},
			want: channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Scope: channels.ScopeChat, RetryAfter: 7 * time.Second}},
		{name: "429 for all chats", status: 429, header: map[string]string{"Retry-After": "7"}, body: `{"scope":"account"}`,
			want: channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Scope: channels.ScopeAccount, RetryAfter: 7 * time.Second}},
		{name: "429 without a time", status: 429, want: channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Scope: channels.ScopeChat}},
		{name: "503 later", status: 503, header: map[string]string{"Retry-After": "1.5"},
			want: channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Scope: channels.ScopeChat, RetryAfter: 1500 * time.Millisecond}},
		{name: "503", status: 503, want: channels.SendError{Kind: channels.ErrTransient}},
		{name: "502", status: 502, want: channels.SendError{Kind: channels.ErrTransient}},
		{name: "404", status: 404, want: channels.SendError{Kind: channels.ErrRejected, Certain: true}},
		{name: "401", status: 401, want: channels.SendError{Kind: channels.ErrRejected, Certain: true}},
		{name: "redirect", status: 302, header: map[string]string{"Location": "/elsewhere"}, want: channels.SendError{Kind: channels.ErrRejected, Certain: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					w.WriteHeader(http.StatusOK)
					return
				}
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			t.Cleanup(srv.Close)
			s := startAt(t, customtest.NewSecret(), srv.URL+"/?token=hunter2")
			out := channeltest.Text(message.Chat{ID: "c1"}, "x")
			out.ID = "m-1"
			receipt, err := s.Send(t.Context(), out)
			if tt.id != "" {
				require.NoError(t, err)
				require.Equal(t, tt.id, receipt.ExternalID)
				return
			}
			var e *channels.SendError
			require.ErrorAs(t, err, &e)
			require.NotContains(t, e.Reason, "hunter2")
			e.Reason = ""
			require.Equal(t, tt.want, *e)
		})
	}
}

func TestSendReadsRetryAfterDates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{"": 0, "soon": 0, "-4": 0, "NaN": 0, "120": 2 * time.Minute, "1e99": 24 * time.Hour,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second, now.Add(-time.Hour).Format(http.TimeFormat): 0} {
		require.Equal(t, want, channels.RetryAfter(http.Header{"Retry-After": {v}}, now), v)
	}
}

func TestSendWithoutCallbackURLIsRejected(t *testing.T) {
	t.Parallel()
	s := startAt(t, customtest.NewSecret(), "")
	_, err := s.Send(t.Context(), channeltest.Text(message.Chat{ID: "c1"}, "x"))
	var e *channels.SendError
	require.ErrorAs(t, err, &e)
	require.Equal(t, channels.ErrRejected, e.Kind)
	require.Contains(t, e.Reason, "callbackUrl")
}

func TestSendNeverShowsTheURL(t *testing.T) {
	t.Parallel()
	s := startAt(t, customtest.NewSecret(), "http://127.0.0.1:1/?token=hunter2")
	_, err := s.Send(t.Context(), channeltest.Text(message.Chat{ID: "c1"}, "x"))
	var e *channels.SendError
	require.ErrorAs(t, err, &e)
	require.Equal(t, channels.ErrTransient, e.Kind)
	require.True(t, e.Certain)
	require.NotContains(t, err.Error(), "hunter2")
}

type refusedError struct{}

func (refusedError) Error() string { return "127.0.0.1 may not be called" }
func (refusedError) Refused() bool { return true }

type refusingTransport struct{}

func (refusingTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, refusedError{} }

func TestSendToARefusedAddressIsFinal(t *testing.T) {
	t.Parallel()
	values, err := json.Marshal(config{Secret: customtest.NewSecret(), CallbackURL: "http://10.0.0.1/"})
	require.NoError(t, err)
	s, err := Channel{}.New(channels.Config{Values: values}, channels.Deps{HTTP: &http.Client{Transport: refusingTransport{}}})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context(), channeltest.NewSink()))
	_, err = s.Send(context.Background(), channeltest.Text(message.Chat{ID: "c1"}, "x"))
	var e *channels.SendError
	require.ErrorAs(t, err, &e)
	require.Equal(t, channels.ErrRejected, e.Kind)
	require.Contains(t, e.Reason, "may not be called")
}

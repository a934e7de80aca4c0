package telegram

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
)

const update = `{"update_id":5,"message":{"message_id":7,"from":{"id":11,"first_name":"Ana"},"chat":{"id":-100,"type":"supergroup","title":"Team"},
	"date":1767225600,"text":"@omni_test_bot hi","entities":[{"type":"mention","offset":0,"length":14}]}}`

func receive(t *testing.T, sink channels.Sink, secret, given, body string) (channels.WebhookResponse, error) {
	t.Helper()
	values, err := json.Marshal(config{BotToken: token, Mode: modeWebhook, SecretToken: secret})
	require.NoError(t, err)
	h := http.Header{}
	if given != "" {
		h.Set("X-Telegram-Bot-Api-Secret-Token", given)
	}
	return Channel{}.ReceiveWebhook(t.Context(), channels.Config{Values: values}, channels.WebhookRequest{Method: http.MethodPost,
		Header: h, Query: map[string][]string{"bot": {"omni_test_bot"}}, Body: []byte(body), Now: time.Now()}, sink)
}

func status(t *testing.T, err error) int {
	t.Helper()
	var refused *channels.WebhookError
	require.ErrorAs(t, err, &refused)
	return refused.Status
}

func TestWebhookChecksTheSecretFirst(t *testing.T) {
	t.Parallel()
	sink := channeltest.NewSink()
	for _, tt := range [][2]string{{"s3cret", "other"}, {"s3cret", ""}, {"s3cret", "s3cre"}, {"s3cret", "s3crett"}, {"", ""}} {
		for _, body := range []string{update, "{"} {
			_, err := receive(t, sink, tt[0], tt[1], body)
			require.Equal(t, http.StatusUnauthorized, status(t, err))
		}
	}
	require.Zero(t, sink.Attempts())
}

func TestWebhookStoresAndAnswers(t *testing.T) {
	t.Parallel()
	sink := channeltest.NewSink()
	resp, err := receive(t, sink, "s3cret", "s3cret", update)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.Status)
	in := sink.Stored()[0]
	require.Equal(t, "-100:7", in.Event.ID)
	require.True(t, in.Event.MentionsMe, "the bot's name comes with the URL")
	require.JSONEq(t, update, string(in.Raw))

	sink.FailNext(1)
	_, err = receive(t, sink, "s3cret", "s3cret", update)
	require.Equal(t, http.StatusServiceUnavailable, status(t, err))

	resp, err = receive(t, sink, "s3cret", "s3cret", `{"update_id":6,"poll_answer":{}}`)
	require.NoError(t, err, "what says nothing to us is taken")
	require.Equal(t, http.StatusOK, resp.Status)
}

func TestWebhookRefusesWhatIsNoUpdate(t *testing.T) {
	t.Parallel()
	sink := channeltest.NewSink()
	for body, want := range map[string]int{"": 400, "{": 400, `{"update_id":"x"}`: 400, `[]`: 400,
		`{"update_id":1,"message":{"text":` + "\"" + strings.Repeat("x", maxUpdate) + `"}}`: 413} {
		_, err := receive(t, sink, "s3cret", "s3cret", body)
		require.Equal(t, want, status(t, err), body[:min(len(body), 40)])
	}
	require.Zero(t, sink.Attempts())
}

func TestWebhookIsSetWithSecretAndName(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modeWebhook)
	hub.Start(t)
	c := p.Calls("setWebhook")[0]
	require.Equal(t, "s3cret-token", c.Params["secret_token"])
	require.JSONEq(t, `["message","edited_message","message_reaction","callback_query"]`, c.Params["allowed_updates"])
	u, err := url.Parse(p.WebhookURL())
	require.NoError(t, err)
	require.Equal(t, "/webhook/telegram/"+hub.InstanceID, u.Path)
	require.Equal(t, p.Username(), u.Query().Get("bot"))
}

func TestWebhookModeNeedsAPublicURL(t *testing.T) {
	t.Parallel()
	hub, _ := open(t, modeWebhook)
	cfg := hub.Config()
	cfg.PublicURL = ""
	s, err := Channel{}.New(cfg, hub.Deps())
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context(), hub.Sink))
	waitSink(t, hub, func() bool { return hub.Sink.LastStatus() == channels.StatusError })
	states := hub.Sink.States()
	require.Contains(t, states[len(states)-1].Reason, "OMNI_PUBLIC_URL")
	require.NoError(t, s.Stop(t.Context()))
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte(update))
	f.Add([]byte(`{"update_id":1,"message_reaction":{"old_reaction":[{"type":"emoji","emoji":"x"}]}}`))
	f.Add([]byte(`{"update_id":1,"message":{"is_topic_message":true,"reply_to_message":{},"photo":[{}],"text":"\u0000"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, events, err := convert(raw, account{id: 1, username: "x"})
		if err != nil {
			require.Empty(t, events)
			return
		}
		for _, in := range events {
			encoded, err := json.Marshal(in)
			require.NoError(t, err)
			require.NotContains(t, string(encoded), `\u0000`)
			require.NotEmpty(t, in.ID)
		}
	})
}

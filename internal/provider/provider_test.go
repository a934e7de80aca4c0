package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/provider"
	"github.com/omnihub/omni/internal/safehttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(documented)) }

// call is what the fake service saw.
type call struct {
	header http.Header
	path   string
	body   struct {
		Model    string `json:"model"`
		Stream   *bool  `json:"stream"`
		Messages []struct {
			Role    string          `json:"role"`
			Name    string          `json:"name"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
}

func (c *call) lines() []string {
	lines := make([]string, len(c.body.Messages))
	for i, m := range c.body.Messages {
		name := ""
		if m.Name != "" {
			name = "(" + m.Name + ")"
		}
		lines[i] = m.Role + name + ": " + string(m.Content)
	}
	return lines
}

type bundle struct {
	calls chan *call
	url   string
	http  *http.Client
}

func setup(t *testing.T, answer http.HandlerFunc) *bundle {
	t.Helper()
	b := &bundle{calls: make(chan *call, 10), http: &http.Client{Transport: &http.Transport{}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{header: r.Header.Clone(), path: r.URL.Path}
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(raw, &c.body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		b.calls <- c
		answer(w, r)
	}))
	t.Cleanup(func() { b.http.CloseIdleConnections(); server.Close() })
	b.url = server.URL + "/v1"
	return b
}

func (b *bundle) request() omni.AgentRequest {
	cfg := omni.DefaultAgent()
	cfg.Provider, cfg.APIURL, cfg.Model = "openai", b.url, "gpt-test"
	return omni.AgentRequest{TurnID: uuid.New(), Config: cfg, APIKey: "hush-hush-key", Chat: message.Chat{ID: "c1", Type: message.ChatDM},
		Messages: []omni.TurnMessage{{Text: "hello?", SenderName: "Ana", SenderID: "u1"}}}
}

func (b *bundle) reply(t *testing.T, req omni.AgentRequest) (omni.AgentReply, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return provider.New(provider.Deps{HTTP: b.http, OpenAIAPIKey: "the-hub's-own-key"}).Reply(ctx, req)
}

const completion = `{"id":"x","object":"chat.completion","model":"gpt-test-1","choices":[{"index":0,"finish_reason":"stop",
	"message":{"role":"assistant","content":"Hi **Ana**!"}}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}`

func answers(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	r := provider.New(provider.Deps{})
	got, err := r.Reply(t.Context(), omni.AgentRequest{Config: omni.DefaultAgent(),
		Messages: []omni.TurnMessage{{Text: " one "}, {Text: ""}, {Text: "two\nlines"}}})
	require.NoError(t, err)
	require.Equal(t, " one \ntwo\nlines", got.Text)
	require.True(t, r.Has("echo"))
	require.False(t, r.Has("nobody"))
}

func TestUnknownProvider(t *testing.T) {
	t.Parallel()
	_, err := provider.New(provider.Deps{}).Reply(t.Context(), omni.AgentRequest{Config: omni.AgentConfig{Provider: "nobody"}})
	var e *omni.AgentError
	require.ErrorAs(t, err, &e)
	require.Equal(t, omni.AgentUnsupported, e.Kind)
	require.False(t, e.Kind.Retryable())
}

func TestOpenAIRequest(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "application/json", completion))
	req := b.request()
	req.Config.SystemPrompt = "Be kind."
	req.History = []omni.PastMessage{
		{Text: "earlier", SenderName: "Ana"}, {FromAgent: true, Text: "what I said"},
		{Content: message.Content{Type: message.TypeImage, Media: []message.Media{{Type: message.TypeImage, URL: "https://e.com/old.png"}}}},
		{Content: message.Content{Type: message.TypeText}}, // nothing to show
	}
	req.Messages = append(req.Messages, omni.TurnMessage{Text: "look", Content: message.Content{Type: message.TypeImage, Text: "look",
		Media: []message.Media{{Type: message.TypeImage, URL: pngURL}}}},
		omni.TurnMessage{Content: message.Content{Type: message.TypeAudio, Media: []message.Media{{Type: message.TypeAudio, URL: "https://e.com/a.ogg"}}}})
	got, err := b.reply(t, req)
	require.NoError(t, err)
	require.Equal(t, "Hi **Ana**!", got.Text)
	require.Equal(t, map[string]any{"model": "gpt-test-1", "finishReason": "stop"}, got.Details)
	require.Equal(t, omni.AgentUsage{InputTokens: 7, OutputTokens: 3}, got.Usage)

	c := <-b.calls
	require.Equal(t, "/v1/chat/completions", c.path)
	require.Equal(t, "Bearer hush-hush-key", c.header.Get("Authorization"))
	require.Equal(t, req.TurnID.String(), c.header.Get("Idempotency-Key"))
	require.Equal(t, "gpt-test", c.body.Model)
	require.Nil(t, c.body.Stream, "streaming:false sends no stream request")
	require.Equal(t, []string{
		`system: "Be kind."`,
		`user: "earlier"`,
		`assistant: "what I said"`,
		`user: "[image]"`,
		`user: "hello?"`,
		`user: [{"text":"look","type":"text"},{"image_url":{"url":"` + pngURL + `"},"type":"image_url"}]`,
		`user: "[audio]"`,
	}, c.lines())
}

// What was said in a reply that the batch interrupted stands where it was said.
func TestOpenAIHearsWhatAnInterruptedReplySaid(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "application/json", completion))
	req := b.request()
	req.History = []omni.PastMessage{{Text: "long ago"}, {Text: "part one", FromAgent: true, AfterSeq: 4}, {Text: "part two", FromAgent: true, AfterSeq: 6}}
	req.Messages = []omni.TurnMessage{{Text: "q1", Seq: 3}, {Text: "q2", Seq: 4}, {Text: "q3", Seq: 6}, {Text: "q4", Seq: 9}}
	_, err := b.reply(t, req)
	require.NoError(t, err)
	require.Equal(t, []string{`user: "long ago"`, `user: "q1"`, `user: "q2"`, `assistant: "part one"`, `user: "q3"`, `assistant: "part two"`,
		`user: "q4"`}, (<-b.calls).lines())

	req.Messages = req.Messages[:2] // those after it were deleted
	_, err = b.reply(t, req)
	require.NoError(t, err)
	require.Equal(t, []string{`user: "long ago"`, `user: "q1"`, `user: "q2"`, `assistant: "part one"`, `assistant: "part two"`}, (<-b.calls).lines())
}

func TestOpenAINamesPeopleInGroups(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "application/json", completion))
	req := b.request()
	req.Chat.Type = message.ChatGroup
	req.History = []omni.PastMessage{{Text: "before", SenderName: "Bo"}, {Text: "mine", FromAgent: true, SenderName: "Bot"}}
	req.Messages = []omni.TurnMessage{{Text: "hi", SenderName: "Ana Lima"}, {Text: "oi", SenderName: "João"}, {Text: "id", SenderID: "u7"}}
	_, err := b.reply(t, req)
	require.NoError(t, err)
	require.Equal(t, []string{`user(Bo): "before"`, `assistant: "mine"`, `user(Ana_Lima): "hi"`, `user: "João: oi"`, `user(u7): "id"`},
		(<-b.calls).lines())
}

func TestOpenAIHearsOfReactions(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "application/json", completion))
	req := b.request()
	req.Chat.Type = message.ChatGroup
	reaction := omni.TurnMessage{Text: "👍", Kind: message.KindReaction, SenderName: "Ana",
		Content: message.Content{Type: message.TypeReaction, Reaction: &message.Reaction{Emoji: "👍"}}}
	onOurs, onLong := reaction, reaction
	onOurs.Target = &omni.ReactionTarget{Text: "shall I \"book\" it?"}
	onLong.Target = &omni.ReactionTarget{Text: strings.Repeat("é", 600)}
	req.Messages = []omni.TurnMessage{onOurs, reaction, onLong}
	_, err := b.reply(t, req)
	require.NoError(t, err)
	require.Equal(t, []string{`user(Ana): "[reaction: 👍 to your message \"shall I \\\"book\\\" it?\"]"`, `user(Ana): "[reaction: 👍]"`,
		`user(Ana): "[reaction: 👍 to your message \"` + strings.Repeat("é", 500) + `…\"]"`}, (<-b.calls).lines())
}

func TestOpenAIDescribesWhatHasNoText(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "application/json", completion))
	req := b.request()
	req.Messages = nil
	for _, c := range []message.Content{
		{Type: message.TypeLocation, Location: &message.Location{Latitude: 1.5, Longitude: -2, Name: "Home"}},
		{Type: message.TypeContact, Contact: &message.Contact{Name: "Bo", Phone: "+55"}},
		{Type: message.TypePoll, Poll: &message.Poll{Question: "Q", Options: []string{"a", "b"}}},
		{Type: message.TypeReaction, Reaction: &message.Reaction{Emoji: "👍"}},
		{Type: message.TypeDocument, Media: []message.Media{{Type: message.TypeDocument, Filename: "a.pdf"}}},
		{Type: message.TypeImage, Media: []message.Media{{Type: message.TypeImage, Ref: "file-1"}}},
		{Type: message.TypeSticker},
		{Type: message.TypeImage, Media: []message.Media{{Type: message.TypeImage, URL: pngURL}}},
	} {
		req.Messages = append(req.Messages, omni.TurnMessage{Content: c})
	}
	_, err := b.reply(t, req)
	require.NoError(t, err)
	require.Equal(t, []string{`user: "[location: 1.5, -2 Home]"`, `user: "[contact: Bo +55]"`, `user: "[poll: Q / a / b]"`,
		`user: "[reaction: 👍]"`, `user: "[document: a.pdf]"`, `user: "[image]"`, `user: "[sticker]"`,
		`user: [{"image_url":{"url":"` + pngURL + `"},"type":"image_url"}]`}, (<-b.calls).lines())
}

func TestTheHubsKeyStaysHome(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "application/json", completion))
	req := b.request()
	req.APIKey = ""
	_, err := b.reply(t, req)
	require.NoError(t, err)
	require.Empty(t, (<-b.calls).header.Get("Authorization"))
}

func TestTheHubsAccountIsTheDefault(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "application/json", completion))
	req := b.request()
	req.APIKey, req.Config.APIURL = "", ""
	r := provider.New(provider.Deps{HTTP: b.http, OpenAIAPIKey: "own-key", OpenAIBaseURL: b.url + "/"})
	_, err := r.Reply(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, "Bearer own-key", (<-b.calls).header.Get("Authorization"))
}

func chunk(delta, finish string) string {
	if finish != "" {
		finish = `,"finish_reason":"` + finish + `"`
	}
	return `data: {"model":"gpt-test-1","choices":[{"index":0,"delta":{"content":"` + delta + `"}` + finish + "}]}\n\n"
}

func TestOpenAIStreams(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "text/event-stream", chunk("Hi ", "")+": ping\n\n"+chunk("Ana", "")+chunk("", "stop")+"data: [DONE]\n\n"))
	req := b.request()
	req.Config.Streaming = true
	var heard []string
	req.OnDelta = func(text string) { heard = append(heard, text) }
	got, err := b.reply(t, req)
	require.NoError(t, err)
	require.Equal(t, "Hi Ana", got.Text)
	require.Equal(t, []string{"Hi ", "Ana"}, heard)
	require.Equal(t, "gpt-test-1", got.Details["model"])
	require.True(t, *(<-b.calls).body.Stream)
}

func TestOpenAIFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		stream bool
		want   omni.AgentError
		retry  bool
	}{
		"rate limited": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				answers(429, "application/json", `{"error":{"message":"slow down","type":"x"}}`)(w, nil)
			},
			want: omni.AgentError{Kind: omni.AgentRateLimited, Status: 429, RetryAfter: 7 * time.Second, Reason: "slow down"}, retry: true,
		},
		"rate limited, in milliseconds": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After-Ms", "250")
				answers(429, "text/plain", "")(w, nil)
			},
			want: omni.AgentError{Kind: omni.AgentRateLimited, Status: 429, RetryAfter: 250 * time.Millisecond, Reason: "Too Many Requests"}, retry: true,
		},
		"server error":      {answer: answers(500, "application/json", `{"error":"boom"}`), want: omni.AgentError{Kind: omni.AgentTransient, Status: 500, Reason: "boom"}, retry: true},
		"a proxy's page":    {answer: answers(502, "text/html", "<html>bad gateway</html>"), want: omni.AgentError{Kind: omni.AgentTransient, Status: 502, Reason: "Bad Gateway"}, retry: true},
		"empty 503":         {answer: answers(503, "", ""), want: omni.AgentError{Kind: omni.AgentTransient, Status: 503, Reason: "Service Unavailable"}, retry: true},
		"wrong key":         {answer: answers(401, "application/json", `{"error":{"message":"Incorrect API key: hush-hush-key"}}`), want: omni.AgentError{Kind: omni.AgentBadCredentials, Status: 401, Reason: "Incorrect API key: •••"}},
		"forbidden":         {answer: answers(403, "application/json", `{"detail":"not yours"}`), want: omni.AgentError{Kind: omni.AgentBadCredentials, Status: 403, Reason: "not yours"}},
		"bad request":       {answer: answers(400, "application/json", `{"message":"no such parameter"}`), want: omni.AgentError{Kind: omni.AgentBadRequest, Status: 400, Reason: "no such parameter"}},
		"no such model":     {answer: answers(404, "text/plain", "model not found"), want: omni.AgentError{Kind: omni.AgentBadRequest, Status: 404, Reason: "model not found"}},
		"unprocessable":     {answer: answers(422, "application/json", `{}`), want: omni.AgentError{Kind: omni.AgentBadRequest, Status: 422, Reason: "{}"}},
		"error of a stream": {stream: true, answer: answers(503, "application/json", `{"error":{"message":"overloaded"}}`), want: omni.AgentError{Kind: omni.AgentTransient, Status: 503, Reason: "overloaded"}, retry: true},
		"nothing said":      {answer: answers(200, "application/json", strings.Replace(completion, "Hi **Ana**!", " ", 1)), want: omni.AgentError{Kind: omni.AgentEmpty, Status: 200, Reason: "the model answered nothing (finish reason stop)"}},
		"broken off": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			answers(200, "application/json", completion)(w, nil)
		}, want: omni.AgentError{Kind: omni.AgentCut, Status: 200, Reason: "the answer broke off: unexpected EOF"}, retry: true},
		"stream broken off": {stream: true, answer: answers(200, "text/event-stream", chunk("Hi ", "")), want: omni.AgentError{Kind: omni.AgentCut, Status: 200, Reason: "the stream ended before the answer did"}, retry: true},
		"stream torn": {stream: true, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			answers(200, "text/event-stream", chunk("Hi ", ""))(w, nil)
		}, want: omni.AgentError{Kind: omni.AgentCut, Status: 200, Reason: "the answer broke off: unexpected EOF"}, retry: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, tc.answer)
			req := b.request()
			req.Config.Streaming = tc.stream
			_, err := b.reply(t, req)
			var e *omni.AgentError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.want, *e)
			require.Equal(t, tc.retry, e.Kind.Retryable())
			require.Len(t, b.calls, 1, "the library does not retry")
		})
	}
}

func TestOpenAIAnswersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		contentType, body string
		stream            bool
		want              omni.AgentErrorKind
	}{
		"a page":           {"text/html", "<html>welcome</html>", false, omni.AgentMalformed},
		"half of JSON":     {"application/json", `{"choices":[`, false, omni.AgentMalformed},
		"no choices":       {"application/json", `{}`, false, omni.AgentMalformed},
		"not a stream":     {"application/json", completion, true, omni.AgentMalformed},
		"broken event":     {"text/event-stream", "data: {\n\n", true, omni.AgentMalformed},
		"too large":        {"application/json", `{"x":"` + strings.Repeat("y", 5<<20) + `"}`, false, omni.AgentTooLarge},
		"stream too large": {"text/event-stream", strings.Repeat(chunk(strings.Repeat("y", 1000), ""), 5000), true, omni.AgentTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, answers(200, tc.contentType, tc.body))
			req := b.request()
			req.Config.Streaming = tc.stream
			_, err := b.reply(t, req)
			var e *omni.AgentError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.want, e.Kind, e.Error())
		})
	}
}

func TestOpenAIForgives(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		contentType, body string
		stream            bool
		want              string
	}{
		"no content type":       {"", completion, false, "Hi **Ana**!"},
		"JSON as plain text":    {"text/plain", completion, false, "Hi **Ana**!"},
		"a refusal":             {"application/json", `{"choices":[{"message":{"content":null,"refusal":"I will not."}}]}`, false, "I will not."},
		"no finish reason":      {"text/event-stream", chunk("Hi", "") + "data: [DONE]\n\n", true, "Hi"},
		"no DONE":               {"text/event-stream", chunk("Hi", "stop"), true, "Hi"},
		"stream without a type": {"", chunk("Hi", "stop"), true, "Hi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, answers(200, tc.contentType, tc.body))
			req := b.request()
			req.Config.Streaming = tc.stream
			got, err := b.reply(t, req)
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Text)
		})
	}
}

func TestOpenAIUnreachable(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "", ""))
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	req := b.request()
	req.Config.APIURL = gone.URL + "/v1?api_key=sesame"
	_, err := b.reply(t, req)
	var e *omni.AgentError
	require.ErrorAs(t, err, &e)
	require.Equal(t, omni.AgentTransient, e.Kind)
	require.Contains(t, e.Reason, "connection refused")
	require.NotContains(t, e.Reason, "sesame")
}

func TestOpenAIRefusedAddress(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "", ""))
	guard, err := safehttp.New(nil)
	require.NoError(t, err)
	b.http = guard.Client()
	_, err = b.reply(t, b.request())
	var e *omni.AgentError
	require.ErrorAs(t, err, &e)
	require.Equal(t, omni.AgentBadRequest, e.Kind)
	require.Contains(t, e.Reason, "may not be called")
	require.Empty(t, b.calls)
}

func TestOpenAIUnusableURL(t *testing.T) {
	t.Parallel()
	b := setup(t, answers(200, "", ""))
	for _, url := range []string{"://", "http://a b/", "nowhere"} {
		req := b.request()
		req.Config.APIURL = url
		_, err := b.reply(t, req)
		var e *omni.AgentError
		require.ErrorAs(t, err, &e, url)
		require.NotEqual(t, omni.AgentMalformed, e.Kind, "%s: %s", url, e)
	}
}

// Cancelling must reach the service, or a cancelled turn goes on costing money.
func TestCancelReachesTheService(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprint("stream ", stream), func(t *testing.T) {
			t.Parallel()
			began, ended := make(chan struct{}), make(chan struct{})
			b := setup(t, func(w http.ResponseWriter, r *http.Request) {
				if stream {
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = io.WriteString(w, chunk("Hi", ""))
					_ = http.NewResponseController(w).Flush()
				}
				close(began)
				<-r.Context().Done()
				close(ended)
			})
			req := b.request()
			req.Config.Streaming = stream
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-began; cancel() }()
			_, err := provider.New(provider.Deps{HTTP: b.http}).Reply(ctx, req)
			require.ErrorIs(t, err, context.Canceled)
			<-ended
		})
	}
}

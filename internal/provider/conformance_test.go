package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/provider"
	"github.com/omnihub/omni/internal/safehttp"
)

// protocol is one kind of service, for the suite that every provider passes.
type protocol struct {
	name      string // of the provider
	stream    bool
	path      string // where its calls arrive
	configure func(cfg *omni.AgentConfig)
	answer    func(text string) string // the body of a good answer; of a stream: all its events
	cut       string                   // a stream that ends before the answer does
	empty     string                   // a good answer that says nothing
	auth      func(h http.Header) string
	words     func(t *testing.T, header http.Header, body []byte) wire
	card      func(url string) string // what the service publishes about itself; nil: nothing
	remembers bool                    // the service keeps the conversation, and is not told of it
	fine      string                  // what the service says of an answer that is whole
	tooLong   string                  // and of one that was as long as it may be; "": nothing
	past      bool                    // the past is told like what is to be answered
}

// tells is how many messages one of the past is told as.
func (p protocol) tells() int {
	if p.past {
		return 1
	}
	return 0
}

// wire is what a service was told, taken apart.
type wire struct {
	instructions string
	said         []string // by people, in order, names in front where the protocol has no field for them
	names        []string // in fields of their own
}

const secretKey = "hush-hush-key"

func (p protocol) title() string {
	if p.stream {
		return p.name + " stream"
	}
	return p.name
}

func (p protocol) contentType() string {
	if p.stream {
		return "text/event-stream"
	}
	return "application/json"
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// service is a fake of a protocol that remembers what it was asked.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	bodies [][]byte
	heads  []http.Header
	paths  []string
}

func (p protocol) serve(t *testing.T, answer http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/.well-known/agent-card.json") {
			if p.card == nil {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, p.card("http://"+r.Host))
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		s.mu.Lock()
		s.bodies, s.heads, s.paths = append(s.bodies, body), append(s.heads, r.Header.Clone()), append(s.paths, r.URL.EscapedPath())
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies)
}

func (p protocol) request(url string) omni.AgentRequest {
	cfg := omni.DefaultAgent()
	cfg.Provider, cfg.APIURL, cfg.Model, cfg.Streaming = p.name, url, "model-1", p.stream
	if p.configure != nil {
		p.configure(&cfg)
	}
	return omni.AgentRequest{TurnID: uuid.New(), InstanceID: uuid.New(), Instance: "support", Channel: "custom", ChatID: uuid.New(),
		SessionKey: "chat:1", Config: cfg, APIKey: secretKey, Chat: message.Chat{ID: "c1", Type: message.ChatDM},
		Person:   omni.AgentPerson{ID: uuid.NullUUID{UUID: uuid.New(), Valid: true}, Name: "Ana"},
		Sender:   omni.AgentSender{ID: "u1", Name: "Ana"},
		Messages: []omni.TurnMessage{{ID: uuid.New(), Text: "hello?", SenderName: "Ana", SenderID: "u1"}}}
}

// ask makes one call with a client of its own, so that no connection is left.
func (p protocol) ask(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	return provider.New(provider.Deps{HTTP: client}).Reply(ctx, req)
}

func (p protocol) fails(t *testing.T, answer http.HandlerFunc) (*omni.AgentError, *service) {
	t.Helper()
	s := p.serve(t, answer)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := p.ask(ctx, p.request(s.URL))
	var e *omni.AgentError
	require.ErrorAs(t, err, &e)
	require.NotContains(t, e.Error(), secretKey)
	return e, s
}

func everyProvider(t *testing.T, test func(t *testing.T, p protocol)) {
	t.Helper()
	name := t.Name()
	for _, p := range protocols() {
		t.Run(p.title(), func(t *testing.T) {
			t.Parallel()
			test(t, p)
			if !t.Failed() {
				passed.Store(name+" "+p.title(), true)
			}
		})
	}
}

func TestProvidersAnswer(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p protocol) {
		s := p.serve(t, answers(200, p.contentType(), p.answer("Hi **Ana**!")))
		req := p.request(s.URL)
		var heard strings.Builder
		req.OnDelta = func(text string) { heard.WriteString(text) }
		got, err := p.ask(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, "Hi **Ana**!", got.Text)
		require.Empty(t, got.Parts)
		require.False(t, got.Later)
		if p.stream {
			require.Equal(t, "Hi **Ana**!", heard.String(), "it is heard while it is said")
		} else {
			require.Empty(t, heard.String(), "nothing is streamed that was not asked for")
		}
		require.Equal(t, []string{p.path}, s.paths)
		require.Equal(t, req.TurnID.String(), s.heads[0].Get("Idempotency-Key"))
		require.Equal(t, secretKey, p.auth(s.heads[0]))
		w := p.words(t, s.heads[0], s.bodies[0])
		require.Equal(t, []string{"hello?"}, w.said)
	})
}

// The same turn is the same key at each try, and another turn another one.
func TestProvidersKeyTheTurn(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p protocol) {
		s := p.serve(t, answers(200, p.contentType(), p.answer("yes")))
		req := p.request(s.URL)
		for range 2 {
			_, err := p.ask(t.Context(), req)
			require.NoError(t, err)
		}
		require.Equal(t, s.heads[0].Get("Idempotency-Key"), s.heads[1].Get("Idempotency-Key"))
	})
}

// silent begins to answer, at most, and says when it was asked and left.
func (p protocol) silent(t *testing.T) (s *service, asked chan struct{}, left chan time.Time) {
	t.Helper()
	asked, left = make(chan struct{}, 10), make(chan time.Time, 10)
	return p.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if p.stream {
			w.Header().Set("Content-Type", p.contentType())
			_, _ = io.WriteString(w, ": begun\n\n")
			_ = http.NewResponseController(w).Flush()
		}
		asked <- struct{}{}
		<-r.Context().Done()
		left <- time.Now()
	}), asked, left
}

// hangUpWithin is for a busy machine: the server waits for ever.
const hangUpWithin = 5 * time.Second

// The end of the caller's patience is the end of the connection.
func TestProvidersHangUp(t *testing.T) {
	t.Parallel()
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		everyProvider(t, func(t *testing.T, p protocol) {
			s, asked, left := p.silent(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan time.Time, 1)
			go func() {
				<-asked
				ended <- time.Now()
				cancel()
			}()
			_, err := p.ask(ctx, p.request(s.URL))
			require.ErrorIs(t, err, context.Canceled)
			require.Less(t, (<-left).Sub(<-ended), hangUpWithin)
		})
	})
	t.Run("out of time", func(t *testing.T) {
		t.Parallel()
		everyProvider(t, func(t *testing.T, p protocol) {
			s, asked, left := p.silent(t)
			var ended time.Time
			for patience := 300 * time.Millisecond; len(asked) == 0; patience *= 3 { // until the call has come so far
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				_, err := p.ask(ctx, p.request(s.URL))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				ended, _ = ctx.Deadline()
				cancel()
			}
			require.Less(t, (<-left).Sub(ended), hangUpWithin)
		})
	})
}

func TestProvidersFail(t *testing.T) {
	t.Parallel()
	limited := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		answers(429, "application/json", `{"error":{"message":"slow down"}}`)(w, nil)
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   omni.AgentError
	}{
		"rate limited":   {limited, omni.AgentError{Kind: omni.AgentRateLimited, Status: 429, RetryAfter: 7 * time.Second, Reason: "slow down"}},
		"server error":   {answers(500, "application/json", `{"error":{"message":"boom"}}`), omni.AgentError{Kind: omni.AgentTransient, Status: 500, Reason: "boom"}},
		"a proxy's page": {answers(502, "text/html", "<html>bad gateway</html>"), omni.AgentError{Kind: omni.AgentTransient, Status: 502, Reason: "Bad Gateway"}},
		"unavailable":    {answers(503, "", ""), omni.AgentError{Kind: omni.AgentTransient, Status: 503, Reason: "Service Unavailable"}},
		"wrong key": {answers(401, "application/json", `{"error":{"message":"bad key `+secretKey+`"}}`),
			omni.AgentError{Kind: omni.AgentBadCredentials, Status: 401, Reason: "bad key •••"}},
		"forbidden":   {answers(403, "application/json", `{"detail":"not yours"}`), omni.AgentError{Kind: omni.AgentBadCredentials, Status: 403, Reason: "not yours"}},
		"bad request": {answers(400, "application/json", `{"message":"no"}`), omni.AgentError{Kind: omni.AgentBadRequest, Status: 400, Reason: "no"}},
		"gone":        {answers(404, "text/plain", "no such agent"), omni.AgentError{Kind: omni.AgentBadRequest, Status: 404, Reason: "no such agent"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyProvider(t, func(t *testing.T, p protocol) {
				e, s := p.fails(t, tc.answer)
				require.Equal(t, tc.want, *e)
				require.Equal(t, 1, s.calls(), "one attempt is one call")
				retried := e.Kind == omni.AgentRateLimited || e.Status >= 500
				require.Equal(t, retried, e.Kind.Retryable())
			})
		})
	}
}

func TestProvidersCannotRead(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"a page": "<html>welcome</html>", "half of JSON": `{"text":"hal`, "a list": `[1,2]`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyProvider(t, func(t *testing.T, p protocol) {
				kind := "application/json"
				if name == "a page" {
					kind = "text/html"
				}
				e, _ := p.fails(t, answers(200, kind, body))
				require.Equal(t, omni.AgentMalformed, e.Kind, e.Reason)
				require.True(t, e.Kind.Retryable())
			})
		})
	}
}

func TestProvidersEmptyAnswer(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p protocol) {
		e, _ := p.fails(t, answers(200, p.contentType(), p.empty))
		require.Equal(t, omni.AgentEmpty, e.Kind, e.Reason)
		require.False(t, e.Kind.Retryable(), "what an agent chose to answer is paid for once")
	})
}

func TestProvidersHugeAnswer(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p protocol) {
		huge := p.answer(strings.Repeat("y", 5<<20))
		if p.stream {
			huge = p.cut + strings.Repeat(": "+strings.Repeat("y", 60_000)+"\n\n", 100) // events of a bearable size, and no end of them
		}
		e, _ := p.fails(t, answers(200, p.contentType(), huge))
		require.Equal(t, omni.AgentTooLarge, e.Kind, e.Reason)
		require.False(t, e.Kind.Retryable())
	})
}

func TestProvidersAnswerBreaksOff(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p protocol) {
		body := p.answer("Hi")
		if p.stream {
			body = p.cut
		}
		e, _ := p.fails(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "50000")
			answers(200, p.contentType(), body)(w, nil)
		})
		require.Equal(t, omni.AgentCut, e.Kind, e.Reason)
		require.True(t, e.Kind.Retryable())
		if !p.stream {
			return
		}
		e, _ = p.fails(t, answers(200, p.contentType(), p.cut)) // ends tidily, and too soon
		require.Equal(t, omni.AgentCut, e.Kind, e.Reason)
	})
}

// A redirect takes neither the key nor what people said anywhere.
func TestProvidersDoNotFollowRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			everyProvider(t, func(t *testing.T, p protocol) {
				other := p.serve(t, answers(200, p.contentType(), p.answer("gotcha")))
				e, s := p.fails(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
				require.Equal(t, omni.AgentBadRequest, e.Kind)
				require.Contains(t, e.Reason, "redirect")
				require.Equal(t, 1, s.calls())
				require.Zero(t, other.calls())
			})
		})
	}
}

func TestProvidersRefuseAddresses(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p protocol) {
		s := p.serve(t, answers(200, p.contentType(), p.answer("gotcha")))
		guard, err := safehttp.New(nil)
		require.NoError(t, err)
		_, err = provider.New(provider.Deps{HTTP: guard.Client()}).Reply(t.Context(), p.request(s.URL))
		var e *omni.AgentError
		require.ErrorAs(t, err, &e)
		require.Equal(t, omni.AgentBadRequest, e.Kind)
		require.Contains(t, e.Reason, "may not be called")
		require.Zero(t, s.calls())
	})
}

func TestProvidersUnreachable(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p protocol) {
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		_, err := p.ask(t.Context(), p.request(gone.URL+"/sesame?key=sesame"))
		var e *omni.AgentError
		require.ErrorAs(t, err, &e)
		require.Equal(t, omni.AgentTransient, e.Kind)
		require.True(t, e.Kind.Retryable())
		require.NotContains(t, e.Error(), "sesame", "a URL's query may hold a key")
		require.NotContains(t, e.Error(), secretKey)
	})
}

// An address that cannot be called is not named in the error either.
func TestProvidersUnusableURL(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p protocol) {
		for _, url := range []string{"http://a b/?key=sesame", "http://[::1/?key=sesame", "nowhere?key=sesame"} {
			_, err := p.ask(t.Context(), p.request(url))
			var e *omni.AgentError
			require.ErrorAs(t, err, &e, url)
			require.NotEqual(t, omni.AgentMalformed, e.Kind, "%s: %s", url, e)
		}
	})
}

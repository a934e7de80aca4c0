package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-telegram/bot"

	"github.com/omnihub/omni/channels"
)

// maxAnswer bounds what is read of an answer: 100 updates with long texts.
const maxAnswer = 16 << 20

// api is the Bot API of one bot: go-telegram's client for calls, and a plain
// one for getUpdates, which that client keeps to itself.
type api struct {
	bot   *bot.Bot
	http  *http.Client
	base  string
	token string
}

func newAPI(c config, deps channels.Deps) (*api, error) {
	a := &api{http: deps.HTTP, base: c.APIBaseURL, token: c.BotToken}
	if a.http == nil {
		a.http = &http.Client{}
	}
	b, err := bot.New(c.BotToken, bot.WithSkipGetMe(), bot.WithServerURL(c.APIBaseURL),
		bot.WithHTTPClient(time.Minute, recordingClient{a.http}),
		bot.WithErrorsHandler(func(err error) { deps.Log.Warn("telegram client", "error", a.scrub(err.Error())) }))
	if err != nil {
		return nil, fmt.Errorf("making telegram client: %s", a.scrub(err.Error()))
	}
	a.bot = b
	return a, nil
}

// scrub takes the token out: it is part of every URL of the Bot API.
func (a *api) scrub(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, a.token, "***"), url.QueryEscape(a.token), "***")
}

// answer is what became of one HTTP call, however the client above words it.
type answer struct {
	mu     sync.Mutex
	status int
}

type answerKey struct{}

func (r *answer) code() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// recordingClient notes the HTTP status for who asked by context: the library
// reports it only inside a text.
type recordingClient struct{ http *http.Client }

func (c recordingClient) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if r, ok := req.Context().Value(answerKey{}).(*answer); ok {
		r.mu.Lock()
		r.status = resp.StatusCode
		r.mu.Unlock()
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// apiError is a refusal in answer to a plain call.
type apiError struct {
	code       int
	retryAfter time.Duration
	desc       string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s", e.code, e.desc) }

// call posts JSON and decodes the result into dest. Errors hold no token.
func (a *api) call(ctx context.Context, method string, params, dest any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/bot"+a.token+"/"+method, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("calling %s: apiBaseUrl is not a URL", method)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL, which has the token
		}
		return fmt.Errorf("calling %s: %w", method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	return decodeAnswer(method, resp, dest)
}

func decodeAnswer(method string, resp *http.Response, dest any) error {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading answer to %s: %w", method, err)
	}
	var r struct {
		OK          bool            `json:"ok"`
		Result      json.RawMessage `json:"result"`
		ErrorCode   int             `json:"error_code"`
		Description string          `json:"description"`
		Parameters  struct {
			RetryAfter int `json:"retry_after"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return &apiError{code: resp.StatusCode, desc: "the answer is not JSON"}
	}
	if !r.OK {
		if r.ErrorCode == 0 {
			r.ErrorCode = resp.StatusCode
		}
		return &apiError{code: r.ErrorCode, desc: r.Description, retryAfter: channels.RetryAfterSeconds(r.Parameters.RetryAfter)}
	}
	if err := json.Unmarshal(r.Result, dest); err != nil {
		return fmt.Errorf("decoding answer to %s: %w", method, err)
	}
	return nil
}

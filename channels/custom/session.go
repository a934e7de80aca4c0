package custom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

const (
	maxSent        = 1 << 20          // bytes of one text
	callTimeout    = 15 * time.Second // of one callback, where the caller's context allows more
	maxAnswer      = 64 << 10         // bytes read of a callback's answer
	maxErrorDetail = 300              // bytes of it quoted in a reason
)

// session posts to one callbackUrl. There is no connection to hold: it is
// active from Start to Stop.
type session struct {
	callbackURL string
	key         []byte
	http        *http.Client
	sink        atomic.Pointer[channels.Sink]
}

var (
	_ channels.Session = (*session)(nil)
	_ channels.Editor  = (*session)(nil)
	_ channels.Deleter = (*session)(nil)
	_ channels.Reactor = (*session)(nil)
	_ channels.Typer   = (*session)(nil)
)

func newSession(c config, deps channels.Deps) (*session, error) {
	key, err := parseSecret(c.Secret)
	if err != nil {
		return nil, &channels.ConfigError{Field: "channelConfig.secret", Reason: err.Error()}
	}
	client := &http.Client{}
	if deps.HTTP != nil {
		*client = *deps.HTTP
	}
	// A followed redirect may turn the POST into a GET, whose 200 says nothing.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &session{callbackURL: c.CallbackURL, key: key, http: client}, nil
}

// Start reports the instance active.
func (s *session) Start(_ context.Context, in channels.Sink) error {
	s.sink.Store(&in)
	in.State(channels.State{Status: channels.StatusActive})
	return nil
}

// Stop ends the session; later sends are not connected.
func (s *session) Stop(context.Context) error {
	if in := s.sink.Swap(nil); in != nil {
		(*in).State(channels.State{Status: channels.StatusInactive})
	}
	return nil
}

// Send posts one bubble.
func (s *session) Send(ctx context.Context, out message.Outbound) (message.Receipt, error) {
	if out.Kind == "" {
		out.Kind = message.KindMessage
	}
	return s.post(ctx, out)
}

// Edit posts the new content of a message, named by targetId.
func (s *session) Edit(ctx context.Context, out message.Outbound) (message.Receipt, error) {
	out.Kind = message.KindEdit
	r, err := s.post(ctx, out)
	if err == nil {
		r.ExternalID = out.TargetID // whatever the program counts edits by
	}
	return r, err
}

// Delete posts that a message, named by targetId, is to go.
func (s *session) Delete(ctx context.Context, out message.Outbound) error {
	out.Kind = message.KindDelete
	_, err := s.post(ctx, out)
	return err
}

// React posts a reaction on the message named by targetId.
func (s *session) React(ctx context.Context, out message.Outbound) error {
	out.Kind = message.KindReaction
	_, err := s.post(ctx, out)
	return err
}

// Typing posts a typing indicator.
func (s *session) Typing(ctx context.Context, chat message.Chat) error {
	id := uuid.NewString() // nothing to repeat: each indicator is its own
	_, err := s.post(ctx, message.Outbound{ID: id, Key: id, Kind: message.KindTyping, Chat: chat})
	return err
}

func (s *session) post(ctx context.Context, out message.Outbound) (message.Receipt, error) {
	if s.sink.Load() == nil {
		return message.Receipt{}, &channels.SendError{Kind: channels.ErrNotConnected, Certain: true, Reason: "the session is stopped"}
	}
	if s.callbackURL == "" {
		return message.Receipt{}, rejected("channelConfig.callbackUrl is not set: this instance can only receive")
	}
	if n := len(out.Content.Text); n > maxSent {
		return message.Receipt{}, &channels.SendError{Kind: channels.ErrTooLarge, Certain: true, Reason: fmt.Sprintf("the text has %d bytes, more than %d", n, maxSent)}
	}
	if out.Key == "" {
		out.Key = out.ID
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ctx, wire := channels.WatchWire(ctx)
	req, err := s.request(ctx, out)
	if err != nil {
		return message.Receipt{}, rejected(err.Error())
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return message.Receipt{}, wire.SendError(err, true, "calling callbackUrl: "+reasonOf(err))
	}
	defer func() { _ = resp.Body.Close() }()
	// An answer that breaks off has its status already: that decides.
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return outcome(resp, answer, out, time.Now())
}

func (s *session) request(ctx context.Context, out message.Outbound) (*http.Request, error) {
	body, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encoding message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.callbackURL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("callbackUrl is not a URL")
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Omni-Custom-Channel/1")
	req.Header.Set(headerID, out.Key)
	req.Header.Set(headerTimestamp, timestamp)
	req.Header.Set(headerSignature, sign(s.key, out.Key, timestamp, body))
	// Also lets net/http repeat the request on a connection that had gone stale.
	req.Header.Set("Idempotency-Key", out.Key)
	return req, nil
}

// outcome reads the answer as the contract says.
func outcome(resp *http.Response, answer []byte, out message.Outbound, now time.Time) (message.Receipt, error) {
	code := resp.StatusCode
	after := channels.RetryAfter(resp.Header, now)
	switch {
	case code >= 200 && code < 300:
		id := externalID(answer)
		if id == "" {
			id = out.ID // the program answers to our id
		}
		return message.Receipt{ExternalID: id, At: now}, nil
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		return message.Receipt{}, &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, RetryAfter: after,
			Scope: limitScope(answer), Reason: fmt.Sprintf("callbackUrl answered %d: later", code)}
	case code >= 500:
		return message.Receipt{}, &channels.SendError{Kind: channels.ErrTransient, RetryAfter: after,
			Reason: fmt.Sprintf("callbackUrl answered %d%s", code, quote(answer))}
	case code >= 300 && code < 400:
		return message.Receipt{}, rejected(fmt.Sprintf("callbackUrl answered %d: redirects are not followed, configure the final address", code))
	default:
		return message.Receipt{}, rejected(fmt.Sprintf("callbackUrl answered %d%s", code, quote(answer)))
	}
}

// externalID reads {"id": "…"}, or a number where the program counts.
func externalID(answer []byte) string {
	var a struct {
		ID any `json:"id"`
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	if d.Decode(&a) != nil {
		return ""
	}
	id, isText := a.ID.(string)
	if n, isNumber := a.ID.(json.Number); isNumber {
		id = n.String()
	} else if !isText {
		return ""
	}
	if checkID("id", id, true) != nil { // it could not be kept, and so not be found again
		return ""
	}
	return id
}

// limitScope reads {"scope": "account"}: all chats have to wait, not this one
// only.
func limitScope(answer []byte) channels.Scope {
	var a struct {
		Scope channels.Scope `json:"scope"`
	}
	if json.Unmarshal(answer, &a) == nil && a.Scope == channels.ScopeAccount {
		return channels.ScopeAccount
	}
	return channels.ScopeChat
}

func rejected(reason string) *channels.SendError {
	return &channels.SendError{Kind: channels.ErrRejected, Certain: true, Reason: reason}
}

// reasonOf drops the URL that net/http puts in front: it may carry a token.
func reasonOf(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err.Error()
}

func quote(answer []byte) string {
	s := strings.TrimSpace(cleanText(string(answer)))
	if s == "" {
		return ""
	}
	if len(s) > maxErrorDetail {
		s = strings.ToValidUTF8(s[:maxErrorDetail], "") + "…"
	}
	return ": " + s
}

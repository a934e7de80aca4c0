package telegram

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-telegram/bot"

	"github.com/omnihub/omni/channels"
)

// Back-off after failures of Telegram or of the store behind the sink.
const (
	backoffFirst  = 200 * time.Millisecond
	backoffMax    = 30 * time.Second
	backoffDenied = time.Minute // a refused token rarely comes back to life
	callTimeout   = 30 * time.Second
)

// session is one bot. Its only goroutine connects, then polls (or, in mode
// webhook, only waits for the end).
type session struct {
	cfg     config
	channel channels.Config
	deps    channels.Deps
	api     *api
	me      atomic.Pointer[account]

	mu       sync.Mutex
	sink     channels.Sink
	stopped  bool
	cancel   context.CancelFunc
	done     chan struct{}
	inactive sync.Once

	answering sync.WaitGroup // of presses; run waits for them
	answers   chan struct{}  // one for each of them
}

var (
	_ channels.Session = (*session)(nil)
	_ channels.Editor  = (*session)(nil)
	_ channels.Deleter = (*session)(nil)
	_ channels.Reactor = (*session)(nil)
	_ channels.Typer   = (*session)(nil)

	_ channels.FileLocator = (*session)(nil)
)

func newSession(c config, channel channels.Config, deps channels.Deps) (*session, error) {
	a, err := newAPI(c, deps)
	if err != nil {
		return nil, err
	}
	s := &session{cfg: c, channel: channel, deps: deps, api: a, answers: make(chan struct{}, maxAnswering)}
	s.me.Store(&account{id: c.botID()})
	return s, nil
}

// Start begins to connect. It does not wait for Telegram: an unreachable server
// is reported as a state and tried again.
func (s *session) Start(ctx context.Context, in channels.Sink) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink != nil || s.stopped {
		return errors.New("starting telegram: the session was started or stopped before")
	}
	// The session lives until Stop, not until the context of the start ends.
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.sink, s.done = in, make(chan struct{})
	in.State(channels.State{Status: channels.StatusConnecting})
	go func() {
		defer close(s.done)
		s.run(ctx)
	}()
	return nil
}

// Stop ends polling and waits for it. What was received but not stored stays
// unconfirmed with Telegram. A webhook stays set: it belongs to the instance.
func (s *session) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	sink, done := s.sink, s.done
	if s.cancel != nil {
		s.cancel()
	}
	s.mu.Unlock()
	if sink == nil {
		return nil
	}
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("stopping telegram: %w", ctx.Err())
	}
	s.inactive.Do(func() { sink.State(channels.State{Status: channels.StatusInactive}) })
	return nil
}

func (s *session) connected() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink == nil || s.stopped {
		return &channels.SendError{Kind: channels.ErrNotConnected, Certain: true, Reason: "the session is stopped"}
	}
	return nil
}

func (s *session) report(status channels.Status, reason string) {
	s.sink.State(channels.State{Status: status, Reason: reason})
}

// run connects until it succeeds, then receives until ctx ends.
func (s *session) run(ctx context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		err := s.connect(ctx)
		if err == nil {
			break
		}
		s.failed(ctx, "connecting to Telegram", err, &wait)
	}
	if ctx.Err() != nil {
		return
	}
	s.report(channels.StatusActive, "")
	if s.cfg.Mode == modeWebhook {
		<-ctx.Done()
		return
	}
	s.poll(ctx)
	s.answering.Wait()
}

// connect learns who the bot is and chooses how it receives: setting a webhook
// ends polling, and the other way round.
func (s *session) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	me, err := s.api.bot.GetMe(ctx)
	if err != nil {
		return err
	}
	s.me.Store(&account{id: me.ID, username: me.Username})
	if s.cfg.Mode == modePolling {
		_, err = s.api.bot.DeleteWebhook(ctx, &bot.DeleteWebhookParams{})
		return err
	}
	hook, err := webhookURL(s.channel, me.Username)
	if err != nil {
		return err
	}
	_, err = s.api.bot.SetWebhook(ctx, &bot.SetWebhookParams{URL: hook, SecretToken: s.cfg.SecretToken, AllowedUpdates: allowedUpdates})
	return err
}

// failed reports a failure and waits before the next try.
func (s *session) failed(ctx context.Context, doing string, err error, wait *backoff) {
	if ctx.Err() != nil {
		return
	}
	f := s.api.diagnose(err)
	d := wait.next()
	if f.after > 0 {
		d = f.after
	}
	s.deps.Log.Warn("telegram", "doing", doing, "error", f.reason, "retry_in", d)
	s.report(f.status, doing+": "+f.reason)
	sleep(ctx, d)
}

// failure is what an error of a call means for the session.
type failure struct {
	status channels.Status
	reason string
	after  time.Duration // 0: the usual back-off
}

func (a *api) diagnose(err error) failure {
	f := failure{status: channels.StatusError, reason: a.reason(err)}
	code := 0
	var plain *apiError
	var tooMany *bot.TooManyRequestsError
	switch {
	case errors.As(err, &plain):
		code, f.after = plain.code, plain.retryAfter
	case errors.As(err, &tooMany):
		f.after = channels.RetryAfterSeconds(tooMany.RetryAfter)
	case errors.Is(err, bot.ErrorUnauthorized):
		code = 401
	case errors.Is(err, bot.ErrorNotFound):
		code = 404
	}
	switch code {
	case 401, 404: // 404: not even the form of a token that exists
		f.status, f.after = channels.StatusNeedsLogin, backoffDenied
		f.reason = "Telegram refuses botToken: " + f.reason
	case 409:
		f.reason = "another program receives for this bot: " + f.reason
	}
	return f
}

// backoff doubles from backoffFirst to backoffMax.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, backoffFirst), backoffMax)
	return b.last
}

func (b *backoff) reset() { b.last = 0 }

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

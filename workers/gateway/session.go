package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
)

// session is one run of a channel's session, from New to Stop.
type session struct {
	host     *host
	instance *omni.Instance
	version  int
	lease    *lease

	spoke atomic.Bool // the session reported a state by itself
}

// run starts the session, serves it, and stops it when ctx ends or the
// instance is to have another one (nil). An error means that it did not start.
func (s *session) run(ctx context.Context) error {
	g := s.host.g
	ch, ok := g.deps.Lookup(s.instance.Channel)
	if !ok {
		return s.fail(fmt.Errorf("channel %q is not part of this program", s.instance.Channel))
	}
	cfg := g.edge.config(s.instance)
	sess, err := s.open(ch, cfg)
	if err != nil {
		return s.fail(err)
	}
	// The session may live by this context, so it ends with the session only.
	life, end := context.WithCancel(ctx)
	defer end()
	began := time.Now()
	started := make(chan error, 1)
	go func() { started <- s.start(life, sess) }()
	if err := s.awaitStart(ctx, started, end); err != nil {
		s.stop(sess)
		if ctx.Err() != nil || s.outdated() {
			return nil
		}
		return s.fail(err)
	}
	svc, err := serve(g, s, sess)
	if err != nil {
		s.stop(sess)
		return s.fail(err)
	}
	g.metrics.sessions.Add(ctx, 1)
	s.host.log.InfoContext(ctx, "session started", "took", time.Since(began))
	if !s.spoke.Load() {
		s.host.states.report(channels.State{Status: channels.StatusActive})
	}
	s.until(ctx)
	svc.stop(g.deps.Timing.StopGrace)
	end()
	s.stop(sess)
	g.metrics.sessions.Add(ctx, -1)
	return nil
}

func (s *session) open(ch channels.Channel, cfg channels.Config) (sess channels.Session, err error) {
	defer s.recovered("New", &err)
	return ch.New(cfg, s.host.g.edge.deps(s.instance, s.lease))
}

func (s *session) start(ctx context.Context, sess channels.Session) (err error) {
	defer s.recovered("Start", &err)
	return sess.Start(ctx, s.sink())
}

// awaitStart waits for Start, no longer than is allowed or wanted. It does not
// return before Start did.
func (s *session) awaitStart(ctx context.Context, started <-chan error, end context.CancelFunc) error {
	limit := time.NewTimer(s.host.g.deps.Timing.StartLimit)
	defer limit.Stop()
	for {
		select {
		case err := <-started:
			return err
		case <-ctx.Done():
			return abandon(started, end, ctx.Err())
		case <-limit.C:
			return abandon(started, end, errors.New("connecting took too long"))
		case <-s.host.poke:
			if s.outdated() {
				return abandon(started, end, errors.New("the configuration changed"))
			}
		}
	}
}

// abandon ends a start and waits for it; why it was ended counts.
func abandon(started <-chan error, end context.CancelFunc, why error) error {
	end()
	if err := <-started; err != nil {
		return errors.Join(why, err)
	}
	return why
}

// until waits for the end of the session's time.
func (s *session) until(ctx context.Context) {
	for !s.outdated() {
		select {
		case <-ctx.Done():
			return
		case <-s.host.poke:
		}
	}
}

func (s *session) outdated() bool {
	_, version := s.host.current()
	return version != s.version
}

func (s *session) stop(sess channels.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), s.host.g.deps.Timing.StopGrace)
	defer cancel()
	err := func() (err error) {
		defer s.recovered("Stop", &err)
		return sess.Stop(ctx)
	}()
	if err != nil {
		s.host.log.Warn("session did not stop cleanly", "error", s.scrub(err.Error()))
	}
}

// fail reports why there is no session.
func (s *session) fail(err error) error {
	err = errors.New(s.scrub(err.Error())) // it may quote a URL with a token in it
	state := channels.State{Status: channels.StatusError, Reason: err.Error()}
	if !s.spoke.Load() {
		s.host.states.report(state)
	}
	return err
}

// scrub masks the instance's secrets in a text for logs and people.
func (s *session) scrub(text string) string {
	var values map[string]any
	ch, ok := s.host.g.deps.Lookup(s.instance.Channel)
	if !ok || json.Unmarshal(s.instance.ChannelConfig, &values) != nil {
		return telemetry.Scrub(text)
	}
	var secrets []string
	for _, field := range ch.Info().Config {
		if v, ok := values[field.Name].(string); ok && field.Secret {
			secrets = append(secrets, v)
		}
	}
	return telemetry.Scrub(text, secrets...)
}

// recovered turns a panic of a channel into an error, counted.
func (s *session) recovered(where string, err *error) {
	p := recover()
	if p == nil {
		return
	}
	s.host.g.metrics.panicked(context.Background(), s.instance.Channel)
	s.host.log.Error("channel panicked", "in", where, "panic", s.scrub(fmt.Sprint(p)), "stack", string(debug.Stack()))
	*err = fmt.Errorf("the channel panicked in %s", where)
}

// sink is what the session publishes to; its reports count for this session only.
func (s *session) sink() channels.Sink {
	return s.host.g.edge.sink(s.instance, func(state channels.State) {
		if s.outdated() {
			return
		}
		s.spoke.Store(true)
		state.Reason = s.scrub(state.Reason)
		s.host.states.report(state)
	})
}

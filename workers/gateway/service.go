package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// headerLease names, in answers, the lease under which they were given.
const headerLease = "Omni-Lease"

const (
	defaultDeadline = 30 * time.Second
	notServed       = "this gateway no longer serves the instance"
)

// service is a running session on NATS: one subscription for all operations
// of the instance, in the queue group that any server of it joins.
type service struct {
	gateway *Gateway
	session *session
	channel channels.Session
	sub     *nats.Subscription
	queues  *chatQueues
	waiters sync.WaitGroup // requests that wait for another one's outcome

	life context.Context
	end  context.CancelFunc

	taking   sync.RWMutex // read: a request is being taken; write: the end of that
	stopping bool
	quit     chan struct{} // closed with stopping: nobody stands at the gate any longer

	line line
}

// request is one operation asked for.
type request struct {
	msg      *nats.Msg
	ctx      context.Context
	op       channels.Operation
	key      string
	deadline time.Time
	out      message.Outbound
	file     *channels.FileLocation // what OpFile found
	known    string                 // operation and key: what the memory and the gate know it by; "" without a key
	left     chan struct{}          // closed when whoever asked has left
}

// queueGroup is the one of NATS micro-services, which foreign programs may use.
const queueGroup = "q"

func serve(g *Gateway, s *session, sess channels.Session) (*service, error) {
	svc := &service{gateway: g, session: s, channel: sess, queues: newChatQueues(), quit: make(chan struct{}), line: newLine()}
	svc.life, svc.end = context.WithCancel(context.Background())
	conn := g.deps.Bus.Conn()
	var err error
	svc.sub, err = conn.QueueSubscribe(channels.Subject(s.instance.Channel, s.instance.ID.String(), "*"), queueGroup, svc.handle)
	if err == nil {
		// Active means that requests arrive: the server has to know it first.
		err = conn.FlushTimeout(g.deps.Timing.StopGrace)
	}
	if err != nil {
		svc.stop(0)
		return nil, fmt.Errorf("serving the instance on NATS: %w", err)
	}
	return svc, nil
}

// stop takes no more requests, gives those under way a moment, then cancels
// them; without the lease sooner, before anybody else may have it.
func (s *service) stop(grace time.Duration) {
	s.taking.Lock()
	s.stopping = true
	s.taking.Unlock()
	close(s.quit)
	s.unsubscribe()
	patience := time.AfterFunc(grace, s.end)
	hurried := context.AfterFunc(s.session.lease.standing, func() {
		time.AfterFunc(min(grace, s.session.lease.grace()), s.end)
	})
	s.queues.wait()
	s.waiters.Wait()
	hurried()
	patience.Stop()
	s.end()
}

// unsubscribe takes what has arrived already (to be refused: nobody has to wait
// for a timeout), where that is safe: a subscription that drains while the
// connection is down comes back with it as one that nobody listens to.
func (s *service) unsubscribe() {
	if s.sub == nil {
		return
	}
	err := nats.ErrDisconnected
	if s.gateway.deps.Bus.Conn().IsConnected() {
		err = s.sub.Drain()
	}
	if err != nil {
		err = s.sub.Unsubscribe()
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
		s.session.host.log.Warn("instance still subscribed", "error", err)
	}
}

// handle runs in the subscription's goroutine and must not block.
func (s *service) handle(msg *nats.Msg) {
	s.taking.RLock()
	defer s.taking.RUnlock()
	op := channels.Operation(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:])
	r := &request{msg: msg, op: op, key: msg.Header.Get(channels.HeaderKey), left: make(chan struct{})}
	if s.stopping {
		s.answer(r, refused(channels.ErrNotConnected, notServed))
		return
	}
	r.ctx = propagation.TraceContext{}.Extract(s.life, propagation.HeaderCarrier(msg.Header))
	r.deadline = time.Now().Add(defaultDeadline)
	if h := msg.Header.Get(channels.HeaderDeadline); h != "" {
		deadline, err := time.Parse(time.RFC3339Nano, h)
		if err != nil {
			s.answer(r, refused(channels.ErrRejected, "header "+channels.HeaderDeadline+" is not RFC 3339"))
			return
		}
		r.deadline = deadline
	}
	if op == channels.OpWithdraw {
		s.withdraw(r.key)
		return
	}
	if op == channels.OpOutcome {
		s.waiters.Go(func() { s.answer(r, s.outcome(r)) })
		return
	}
	if err := json.Unmarshal(msg.Data, &r.out); err != nil {
		s.answer(r, refused(channels.ErrRejected, "the body is not an outbound message: "+err.Error()))
		return
	}
	if r.key == "" {
		r.key = r.out.Key
	}
	s.enqueue(r)
}

func (s *service) enqueue(r *request) {
	if r.key != "" {
		r.known = string(r.op) + "/" + r.key
	}
	attempt, mine := s.session.host.memory.begin(r.known)
	if !mine {
		s.waiters.Go(func() { s.answer(r, s.await(r, attempt)) })
		return
	}
	s.line.join(r)
	done := func(reply channels.Reply) {
		s.line.leave(r)
		s.session.host.memory.finish(attempt, reply)
		s.answer(r, reply)
	}
	queued := s.queues.submit(r.queue(), job{
		ready: func() bool {
			err := s.admit(r)
			if err != nil {
				done(failed(err))
			}
			return err == nil
		},
		run: func() { done(s.execute(r)) },
	})
	if !queued {
		done(refused(channels.ErrTransient, "too much is waiting for this instance"))
	}
}

// queue is what a request stands in line with: the others of its chat. Where
// files are is asked beside all that.
func (r *request) queue() string {
	if r.op == channels.OpFile {
		return "file\x00" + r.out.TargetID
	}
	return r.out.Chat.ID
}

// await is the answer to a key that is known already.
func (s *service) await(r *request, attempt *outcome) channels.Reply {
	timer := time.NewTimer(time.Until(r.deadline))
	defer timer.Stop()
	select {
	case <-attempt.done:
		return attempt.reply
	case <-timer.C:
	case <-s.life.Done():
	}
	return failed(&channels.SendError{Kind: channels.ErrUnknown, Reason: "an earlier request with the same key is still under way"})
}

// outcome answers what became of a sent key; empty where nothing is remembered.
func (s *service) outcome(r *request) channels.Reply {
	attempt := s.session.host.memory.find(string(channels.OpSend) + "/" + r.key)
	if attempt == nil || r.key == "" {
		return channels.Reply{}
	}
	return s.await(r, attempt)
}

func (s *service) ending() bool {
	s.taking.RLock()
	defer s.taking.RUnlock()
	return s.stopping
}

func (s *service) execute(r *request) channels.Reply {
	switch {
	case s.ending() || !s.session.lease.valid():
		return refused(channels.ErrNotConnected, notServed)
	case !time.Now().Before(r.deadline):
		return refused(channels.ErrTransient, "the deadline passed before the request was begun")
	}
	ctx, cancel := context.WithDeadline(r.ctx, r.deadline)
	defer cancel()
	if instead := s.line.begin(r, cancel); instead != nil {
		return *instead
	}
	ctx, span := s.gateway.edge.tracer.Start(ctx, "gateway."+string(r.op), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("omni.instance", s.session.instance.ID.String()),
			attribute.String("omni.channel", s.session.instance.Channel), attribute.String("omni.key", r.key)))
	defer span.End()
	began := time.Now()
	receipt, err := s.perform(ctx, r)
	reply := channels.Reply{Receipt: &receipt, File: r.file}
	if r.file != nil {
		reply.Receipt = nil
	}
	if err != nil {
		failure := asSendError(err)
		s.session.host.gate.told(r.out.Chat, failure)
		span.SetStatus(codes.Error, string(failure.Kind))
		reply = failed(failure)
		reply.Error.Reason = s.session.scrub(reply.Error.Reason)
		s.session.host.log.WarnContext(ctx, "operation failed", "op", r.op, "key", r.key, "kind", reply.Error.Kind,
			"certain", reply.Error.Certain, "reason", reply.Error.Reason)
	}
	s.gateway.metrics.operated(ctx, s.session.instance.Channel, r.op, reply, time.Since(began))
	return reply
}

// perform calls the session. A panic may have come after the message went out.
func (s *service) perform(ctx context.Context, r *request) (receipt message.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.gateway.metrics.panicked(ctx, s.session.instance.Channel)
			s.session.host.log.ErrorContext(ctx, "channel panicked", "in", r.op, "panic", s.session.scrub(fmt.Sprint(p)), "stack", string(debug.Stack()))
			err = &channels.SendError{Kind: channels.ErrUnknown, Reason: "the channel panicked"}
		}
	}()
	receipt.At = time.Now().UTC()
	switch r.op {
	case channels.OpSend:
		return s.channel.Send(ctx, r.out)
	case channels.OpEdit:
		if c, ok := s.channel.(channels.Editor); ok {
			return c.Edit(ctx, r.out)
		}
	case channels.OpDelete:
		if c, ok := s.channel.(channels.Deleter); ok {
			return receipt, c.Delete(ctx, r.out)
		}
	case channels.OpReact:
		if c, ok := s.channel.(channels.Reactor); ok {
			return receipt, c.React(ctx, r.out)
		}
	case channels.OpTyping:
		if c, ok := s.channel.(channels.Typer); ok {
			return receipt, c.Typing(ctx, r.out.Chat)
		}
	case channels.OpFile:
		if c, ok := s.channel.(channels.FileLocator); ok {
			found, err := c.LocateFile(ctx, r.out.TargetID)
			if err == nil {
				r.file = &found
			}
			return receipt, err
		}
	case channels.OpRead:
		if c, ok := s.channel.(channels.ReadMarker); ok {
			return receipt, c.MarkRead(ctx, r.out.Chat, r.out.TargetID)
		}
	}
	return receipt, &channels.SendError{Kind: channels.ErrUnsupported, Certain: true,
		Reason: fmt.Sprintf("channel %s cannot %s", s.session.instance.Channel, r.op)}
}

func (s *service) answer(r *request, reply channels.Reply) {
	if r.msg.Reply == "" {
		return // nobody wants to know
	}
	body, err := json.Marshal(reply)
	if err == nil {
		answer := nats.NewMsg(r.msg.Reply)
		answer.Data = body
		answer.Header.Set(headerLease, strconv.FormatUint(s.session.lease.token, 10))
		err = r.msg.RespondMsg(answer)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		s.session.host.log.Warn("answer not sent", "op", r.op, "key", r.key, "error", err)
	}
}

func asSendError(err error) *channels.SendError {
	if typed, ok := errors.AsType[*channels.SendError](err); ok {
		return typed
	}
	// Not in the channel's own words, which may hold anything.
	return &channels.SendError{Kind: channels.ErrUnknown, Reason: fmt.Sprintf("the channel failed with an unclassified error (%T)", err)}
}

func refused(kind channels.ErrorKind, reason string) channels.Reply {
	return failed(notBegun(kind, reason))
}

func failed(err *channels.SendError) channels.Reply {
	return channels.Reply{Error: channels.NewReplyError(err)}
}

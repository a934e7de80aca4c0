package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

var (
	errTurnCancelled = errors.New("the turn was cancelled")
	errTimeout       = errors.New("the agent took too long")
	errLater         = errors.New("the agent answers later")
)

// call is one run of agent.Reply.
type call struct {
	*Activities
	turn    activities.TurnRef
	inst    *omni.Instance
	agent   omni.AgentConfig
	attempt omni.Attempt
	process string             // that runs the local steps of the turn's workflow; "": not known
	gate    *omni.GateDecision // nil: nothing is decided, or to be

	followUp bool // the turn breaks a silence
}

// Reply is agent.Reply.
func (a *Activities) Reply(ctx context.Context, in activities.ReplyInput) (activities.ReplyOutput, error) {
	c := &call{Activities: a, turn: in.Turn, attempt: activities.NewAttempt(ctx), process: in.Process}
	if err := c.configure(ctx); err != nil {
		return activities.ReplyOutput{}, err
	}
	defer activities.Heartbeat(ctx)()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop, err := a.Cancels.OnCancel(in.Turn.TurnID, func() { cancel(errTurnCancelled) })
	if err != nil {
		return activities.ReplyOutput{}, fmt.Errorf("listening for the cancel of turn %s: %w", in.Turn.TurnID, err)
	}
	defer stop()
	out, err := c.reply(ctx)
	if err == nil && out.State == activities.StateCancelled && c.Live != nil {
		// Also where a former process was cut off while it showed something.
		settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		err = c.Live.SettleLive(settling, c.turn)
	}
	return out, err
}

func (c *call) reply(ctx context.Context) (activities.ReplyOutput, error) {
	req, done, err := c.request(ctx)
	if err == nil && done != nil {
		return *done, nil
	}
	if err != nil {
		return c.failed(ctx, err)
	}
	if len(req.Messages) == 0 { // all of them were deleted meanwhile
		return c.store(ctx, omni.Answer{})
	}
	if done, err = c.pass(ctx, req); err != nil {
		return c.failed(ctx, err)
	} else if done != nil {
		return *done, nil
	}
	if c.mayAnswerLater() {
		mine, err := c.Store.AskTurn(ctx, c.turn.TurnID, c.turn.WorkflowID, c.turn.Epoch, c.timeout())
		if err != nil {
			return c.failed(ctx, err)
		}
		if !mine {
			return c.lost(ctx)
		}
	}
	return c.respond(ctx, req)
}

// respond asks the agent and stores what it says.
func (c *call) respond(ctx context.Context, req omni.AgentRequest) (activities.ReplyOutput, error) {
	ctx, stop := c.whileSilent(ctx)
	defer stop()
	said, live := c.speech(&req), c.live(ctx, &req)
	defer said.end(omni.StreamFailed) // unless it ended otherwise
	defer live.release(ctx)
	answer, err := c.ask(ctx, req)
	live.stop()
	if errors.Is(err, errLater) {
		return c.await(ctx)
	}
	if err != nil {
		if errors.Is(context.Cause(ctx), errTurnCancelled) {
			said.end(omni.StreamCancelled)
		}
		return c.failed(ctx, err)
	}
	if err := live.retire(ctx, answer.Parts); err != nil {
		return activities.ReplyOutput{}, err
	}
	out, err := c.store(ctx, answer)
	switch {
	case err != nil:
	case out.State == activities.StateClosed:
		live.handOn()
		said.end(omni.StreamDone)
	default:
		said.end(omni.StreamCancelled)
	}
	return out, err
}

// configure reads who answers. An instance that is gone, or that lost its
// agent while the turn was collecting, is a final failure.
func (c *call) configure(ctx context.Context) error {
	inst, err := c.Instances.Get(ctx, c.turn.InstanceID)
	switch {
	case errors.Is(err, omni.ErrNotFound):
		return applicationError(&omni.AgentError{Kind: omni.AgentUnsupported, Reason: "the instance is gone"})
	case err != nil:
		return fmt.Errorf("reading instance %s: %w", c.turn.InstanceID, err)
	}
	if inst, err = activities.Answering(ctx, c.Agents, inst, c.turn.Agent); err != nil {
		return err
	}
	switch {
	case inst.Settings.Agent == nil && c.turn.Agent != "":
		return applicationError(&omni.AgentError{Kind: omni.AgentUnsupported, Reason: "the agent " + c.turn.Agent + " is gone"})
	case inst.Settings.Agent == nil:
		return applicationError(&omni.AgentError{Kind: omni.AgentUnsupported, Reason: "the instance has no agent"})
	}
	c.inst, c.agent = inst, *inst.Settings.Agent
	return nil
}

// request gathers what the agent is told. done is set where there is nothing
// to ask: the answer is stored, or the turn is no longer ours.
func (c *call) request(ctx context.Context) (req omni.AgentRequest, done *activities.ReplyOutput, err error) {
	batch, err := c.Store.TurnBatch(ctx, c.turn.TurnID, c.turn.Epoch)
	if err != nil {
		return req, nil, err
	}
	req = omni.AgentRequest{TurnID: c.turn.TurnID, InstanceID: c.inst.ID, Instance: c.inst.Name, Channel: c.turn.Channel,
		ChatID: c.turn.ChatID, Config: c.agent, APIKey: c.inst.AgentAPIKey, Messages: batch}
	if len(batch) > 0 {
		first := &batch[0]
		req.Person = omni.AgentPerson{ID: first.PersonID, Name: first.SenderName}
		req.Sender = omni.AgentSender{ID: first.SenderID, Name: first.SenderName}
	}
	if c.agent.Provider == omni.ProviderEcho && c.attempt.Number == 1 && len(batch) > 0 && c.agent.Gate == nil {
		return req, nil, nil // it needs no context, and asking it twice is cheaper than looking
	}
	t, err := c.Store.AgentTurn(ctx, c.turn.TurnID, c.turn.WorkflowID, c.turn.Epoch, c.agent.Memory())
	if err != nil {
		return req, nil, err
	}
	if t.State != string(activities.StateClosed) {
		return req, &activities.ReplyOutput{State: activities.TurnState(t.State)}, nil
	}
	if t.Parts != nil {
		out := c.output(activities.StateClosed, *t.Parts)
		return req, &out, nil
	}
	if t.Awaiting { // it was asked, and has promised to answer
		out, err := c.await(ctx)
		return req, &out, err
	}
	if t.Text != nil {
		out, err := c.store(ctx, omni.Answer{Text: *t.Text, Parts: c.parts(*t.Text)})
		return req, &out, err
	}
	if !omni.IsChatSession(t.SessionKey, c.turn.ChatID) && c.agent.HistoryMessages > 0 {
		past, err := c.Store.SessionHistory(ctx, t.SessionKey, c.turn.TurnID, c.agent.Memory())
		if err != nil {
			return req, nil, err
		}
		t.History = append(past, t.History...)
	}
	req.Chat, req.SessionKey, c.gate, c.followUp = t.Chat, t.SessionKey, t.Gate, t.FollowUp
	if !req.Person.ID.Valid {
		req.Person = t.Person
	}
	markup := func(channel string) channels.Markup { return c.Capabilities(channel).Markup }
	req.History = history(t.History, markup)
	for i := range batch {
		if target := batch[i].Target; target != nil {
			target.Text = omni.Unconvert(target.Text, markup(c.turn.Channel))
		}
		unquote(batch[i].ReplyTo, markup(c.turn.Channel))
	}
	return req, nil, nil
}

// ask makes one attempt within the agent's own timeout.
func (c *call) ask(ctx context.Context, req omni.AgentRequest) (omni.Answer, error) {
	defer c.showTyping(ctx, req.Chat)()
	asked, cancel := context.WithTimeoutCause(ctx, c.timeout(), errTimeout)
	defer cancel()
	began := time.Now()
	reply, err := c.Provider.Reply(asked, req)
	took := time.Since(began)
	if err != nil && errors.Is(context.Cause(asked), errTimeout) {
		err = &omni.AgentError{Kind: omni.AgentTransient, Reason: fmt.Sprintf("no answer within %d s", c.agent.TimeoutSeconds)}
	}
	c.observe(ctx, took, err)
	if err != nil {
		return omni.Answer{}, err
	}
	answer, err := c.answer(reply)
	if err != nil {
		return omni.Answer{}, err
	}
	answer.Took = took
	c.act(ctx, &answer, reply.Actions, req.Messages)
	if nothingToDo(reply, answer) {
		return omni.Answer{}, &omni.AgentError{Kind: omni.AgentEmpty,
			Reason: "it said nothing, and asked only for what is not done: " + strings.Join(omni.Problems(answer.Actions), "; ")}
	}
	answer.Details = c.account(ctx, answer, reply.Usage)
	return answer, nil
}

// answer makes the bubbles of what an agent said. What cannot be sent is a
// final failure: the same call would most likely be answered with it again.
func (c *call) answer(reply omni.AgentReply) (omni.Answer, error) {
	if reply.Later {
		return omni.Answer{}, errLater
	}
	bubbles, degraded, err := reply.Bubbles(omni.PartsOptions{Caps: c.Capabilities(c.turn.Channel),
		Auto: c.inst.Settings.Messaging.EnableAutoSplit, CheckURL: c.CheckURL})
	if err != nil {
		return omni.Answer{}, &omni.AgentError{Kind: omni.AgentInvalid, Reason: err.Error()}
	}
	if degraded > 0 { // the channel cannot show them
		reply.Details = maps.Clone(reply.Details)
		if reply.Details == nil {
			reply.Details = map[string]any{}
		}
		reply.Details["partsInWords"] = degraded
	}
	return omni.Answer{Text: reply.Said(), Parts: bubbles, Details: reply.Details}, nil
}

func (c *call) timeout() time.Duration { return time.Duration(c.agent.TimeoutSeconds) * time.Second }

// observe counts the call. One that its turn's cancel cut short says nothing
// of how quick the agent is.
func (c *call) observe(ctx context.Context, took time.Duration, err error) {
	outcome := "ok"
	var failure *omni.AgentError
	switch {
	case errors.As(err, &failure):
		outcome = string(failure.Kind)
	case err != nil:
		outcome = "cancelled"
	}
	if !errors.Is(context.Cause(ctx), errTurnCancelled) {
		c.Quick.Observe(c.inst, took)
	}
	if c.Observe != nil {
		c.Observe(context.WithoutCancel(ctx), c.agent.Provider, outcome, took)
	}
}

// parts splits a text as the channel and the instance want it.
func (c *call) parts(text string) []message.Content {
	return omni.ContentParts(message.Content{Type: message.TypeText, Text: text}, c.Capabilities(c.turn.Channel),
		c.inst.Settings.Messaging.EnableAutoSplit)
}

// texts are the texts of the parts.
func (c *call) texts(text string) []string {
	parts := c.parts(text)
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.Text
	}
	return texts
}

// store writes the answer; the row says whether the turn is still ours.
func (c *call) store(ctx context.Context, answer omni.Answer) (activities.ReplyOutput, error) {
	// What is paid for is stored, also when the deadline of the quick path
	// passes meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if c.handsOver(answer) {
		return c.storeAndClaim(ctx, answer)
	}
	state, parts, err := c.Store.AnswerTurn(ctx, c.turn.ChatID, c.turn.TurnID, c.turn.WorkflowID, c.turn.Epoch, answer,
		deliverWithin, c.attempt)
	if err != nil {
		return activities.ReplyOutput{}, err
	}
	return c.output(activities.TurnState(state), parts), nil
}

// handsOver reports whether the delivery follows at once in this process, on
// the quick path. Where a part that was claimed and never handed over can
// be sent again with the same key, claiming it with the answer saves a
// transaction.
func (c *call) handsOver(answer omni.Answer) bool {
	here := c.attempt.Local || c.process != "" && c.process == c.Process
	// (What is shown while it is said has a sender of its own.)
	return c.Sender != nil && here && !c.agent.Streaming && len(answer.Parts) == 1 && answer.Actions == nil &&
		c.Capabilities(c.turn.Channel).IdempotentSend &&
		c.Deliveries.Quick(c.turn.Channel)
}

func (c *call) storeAndClaim(ctx context.Context, answer omni.Answer) (activities.ReplyOutput, error) {
	p := c.Sender.Claiming(c.inst, c.turn)
	state, parts, claim, err := c.Store.AnswerAndClaim(ctx, p, answer, deliverWithin, c.attempt)
	if err != nil {
		return activities.ReplyOutput{}, err
	}
	out := c.output(activities.TurnState(state), parts)
	if c.Sender.Keep(p, claim) {
		out.QuickDelivery = true
	}
	return out, nil
}

// output says how to go on: one part on a channel that has been quick of late
// is delivered on the quick path.
func (c *call) output(state activities.TurnState, parts int) activities.ReplyOutput {
	return activities.ReplyOutput{State: state, Parts: parts, QuickDelivery: parts == 1 && c.Deliveries.Quick(c.turn.Channel)}
}

// failed decides what a failed run means for the workflow.
func (c *call) failed(ctx context.Context, err error) (activities.ReplyOutput, error) {
	if errors.Is(context.Cause(ctx), errTurnCancelled) {
		return c.lost(ctx)
	}
	if ctx.Err() != nil { // the quick path's deadline, or this process stops
		return activities.ReplyOutput{}, ctx.Err()
	}
	var failure *omni.AgentError
	if !errors.As(err, &failure) {
		return activities.ReplyOutput{}, err
	}
	if failure.Kind.Retryable() {
		mine, err := c.Store.AgentFailed(ctx, omni.AgentFailure{TurnID: c.turn.TurnID, WorkflowID: c.turn.WorkflowID,
			Epoch: c.turn.Epoch, Error: failure,
			Within: failure.RetryAfter + retryWithin + time.Duration(c.agent.TimeoutSeconds)*time.Second}, c.attempt)
		if err != nil {
			return activities.ReplyOutput{}, err
		}
		if !mine {
			return c.lost(ctx)
		}
		if c.lastTry(failure) {
			return activities.ReplyOutput{}, finalError(failure)
		}
	}
	return activities.ReplyOutput{}, applicationError(failure)
}

// lastTry reports whether the next try would begin later than the instance
// asks for.
func (c *call) lastTry(failure *omni.AgentError) bool {
	if c.attempt.ScheduledAt.IsZero() {
		return false
	}
	pause := failure.RetryAfter
	if pause <= 0 {
		pause = activities.AgentRetryPause(c.attempt.Number)
	}
	return time.Since(c.attempt.ScheduledAt)+pause > time.Duration(c.agent.RetryForSeconds)*time.Second
}

// lost says what became of a turn that seems to be ours no longer.
func (c *call) lost(ctx context.Context) (activities.ReplyOutput, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	t, err := c.Store.AgentTurn(ctx, c.turn.TurnID, c.turn.WorkflowID, c.turn.Epoch, omni.Memory{})
	if err != nil {
		return activities.ReplyOutput{}, err
	}
	if t.State == string(activities.StateClosed) && t.Parts == nil {
		// It is ours after all: somebody cried wolf.
		return activities.ReplyOutput{}, applicationError(&omni.AgentError{Kind: omni.AgentTransient, Reason: "the call was cancelled"})
	}
	out := activities.ReplyOutput{State: activities.TurnState(t.State)}
	if t.Parts != nil && t.State == string(activities.StateClosed) {
		out = c.output(activities.StateClosed, *t.Parts)
	}
	return out, nil
}

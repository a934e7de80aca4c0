package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"

	"github.com/omnihub/omni/internal/omni"
)

// agent2agent speaks the Agent2Agent protocol, version 1: an agent is sent a
// message of a context (the session) and answers with a message, or with a task
// that is waited for. Agents keep the context themselves: no history is sent.
type agent2agent struct {
	deps  Deps
	cards cardShelf
}

// How often a task that goes on is asked for.
const (
	taskPollFirst = 250 * time.Millisecond
	taskPollMost  = 2 * time.Second
	// cancelWithin is how long telling an agent to stop may take.
	cancelWithin = 3 * time.Second
)

func (a *agent2agent) reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	peer, err := a.peer(ctx, req)
	if err != nil {
		return omni.AgentReply{}, err
	}
	c := &a2aCall{http: a.deps.HTTP, peer: peer, req: req}
	msg := a2a.NewMessage(a2a.MessageRoleUser)
	msg.ID, msg.ContextID = req.TurnID.String(), req.SessionKey // the same at each try: agents know it again by that
	for _, m := range req.Messages {
		if text := messageText(req, m); text != "" {
			msg.Parts = append(msg.Parts, a2a.NewTextPart(text))
		}
	}
	if len(msg.Parts) == 0 {
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentEmpty, Reason: "nothing of the messages can be said in words"}
	}
	result, err := c.send(ctx, msg)
	if err != nil {
		return omni.AgentReply{}, err
	}
	task, ok := result.(*a2a.Task)
	if !ok {
		var said a2a.ContentParts
		if m, ok := result.(*a2a.Message); ok {
			said = m.Parts
		}
		return a2aReply(said, "")
	}
	if task, err = c.await(ctx, task); err != nil {
		return omni.AgentReply{}, err
	}
	return c.finished(task)
}

// send hands the message over: as a stream, where the agent is to stream and
// its card says that it can.
func (c *a2aCall) send(ctx context.Context, msg *a2a.Message) (a2a.SendMessageResult, error) {
	none := 0
	request := &a2a.SendMessageRequest{Tenant: c.peer.tenant, Message: msg, Config: &a2a.SendMessageConfig{HistoryLength: &none}}
	if c.req.Config.Streaming && c.peer.streams {
		result, err := c.stream(ctx, request)
		if !errors.Is(err, errNoStream) {
			return result, err
		}
	}
	return a2aDo(ctx, c, func(t a2aclient.Transport, p a2aclient.ServiceParams) (a2a.SendMessageResult, error) {
		return t.SendMessage(ctx, p, request)
	})
}

// a2aCall is one turn with an agent; each request of it is watched.
type a2aCall struct {
	http *http.Client
	peer a2aPeer
	req  omni.AgentRequest
}

// a2aDo makes one request.
func a2aDo[T any](ctx context.Context, c *a2aCall, do func(a2aclient.Transport, a2aclient.ServiceParams) (T, error)) (T, error) {
	x := &exchange{}
	out, err := do(c.peer.transport(x.client(c.http)), c.params())
	if err == nil {
		return out, nil
	}
	return out, a2aFailure(ctx, x, err, c.req.APIKey)
}

// params are the headers.
func (c *a2aCall) params() a2aclient.ServiceParams {
	p := a2aclient.ServiceParams{a2a.SvcParamVersion: {string(a2a.Version)}, headerIdempotency: {c.req.TurnID.String()}}
	switch {
	case c.req.APIKey == "":
	case c.peer.keyHeader != "":
		p[c.peer.keyHeader] = []string{c.req.APIKey}
	default:
		p["Authorization"] = []string{"Bearer " + c.req.APIKey}
	}
	return p
}

// await asks for a task until it is over or wants something. A task that is
// not waited for any more is cancelled: it would go on costing money.
func (c *a2aCall) await(ctx context.Context, task *a2a.Task) (*a2a.Task, error) {
	id, pause := task.ID, taskPollFirst
	for !a2aSettled(task.Status.State) {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			c.cancel(ctx, id)
			return nil, ctx.Err()
		case <-timer.C:
		}
		pause = min(pause*2, taskPollMost)
		var err error
		task, err = a2aDo(ctx, c, func(t a2aclient.Transport, p a2aclient.ServiceParams) (*a2a.Task, error) {
			none := 0
			return t.GetTask(ctx, p, &a2a.GetTaskRequest{Tenant: c.peer.tenant, ID: id, HistoryLength: &none})
		})
		if ctx.Err() != nil {
			c.cancel(ctx, id)
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
	}
	return task, nil
}

// a2aTidy takes out what JSON's null leaves in a task.
func a2aTidy(task *a2a.Task) *a2a.Task {
	task.Artifacts = slices.DeleteFunc(task.Artifacts, func(a *a2a.Artifact) bool { return a == nil })
	return task
}

func a2aSettled(s a2a.TaskState) bool {
	return s.Terminal() || s == a2a.TaskStateInputRequired || s == a2a.TaskStateAuthRequired
}

// cancel tells the agent to stop. Whether it does is its own affair.
func (c *a2aCall) cancel(ctx context.Context, id a2a.TaskID) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelWithin)
	defer stop()
	_, _ = a2aDo(ctx, c, func(t a2aclient.Transport, p a2aclient.ServiceParams) (*a2a.Task, error) {
		return t.CancelTask(ctx, p, &a2a.CancelTaskRequest{Tenant: c.peer.tenant, ID: id})
	})
}

// finished reads a task that is over, or that asks the person something.
func (c *a2aCall) finished(task *a2a.Task) (omni.AgentReply, error) {
	var status a2a.ContentParts
	if task.Status.Message != nil {
		status = task.Status.Message.Parts
	}
	fail := func(kind omni.AgentErrorKind) (omni.AgentReply, error) {
		said, _ := a2aReply(status, "")
		return omni.AgentReply{}, scrubbed(&omni.AgentError{Kind: kind, Status: http.StatusOK,
			Reason: strings.TrimSuffix("the task ended as "+string(task.Status.State)+": "+said.Text, ": ")}, c.req.APIKey)
	}
	switch task.Status.State {
	case a2a.TaskStateFailed, a2a.TaskStateCanceled:
		return fail(omni.AgentTransient)
	case a2a.TaskStateRejected:
		return fail(omni.AgentBadRequest)
	case a2a.TaskStateAuthRequired:
		return fail(omni.AgentBadCredentials)
	case a2a.TaskStateInputRequired:
		return a2aReply(status, task.Status.State)
	}
	var parts a2a.ContentParts
	for _, artifact := range a2aTidy(task).Artifacts {
		parts = append(parts, artifact.Parts...)
	}
	if len(parts) == 0 {
		parts = status
	}
	return a2aReply(parts, task.Status.State)
}

// a2aFailure says what a failed request was. JSON-RPC tells of failures in
// answers that succeeded.
func a2aFailure(ctx context.Context, x *exchange, err error, key string) error {
	said, ok := errors.AsType[*a2a.Error](err)
	if !ok || x.status >= http.StatusMultipleChoices || x.err != nil || ctx.Err() != nil {
		if bad, isURL := errors.AsType[*url.Error](err); isURL && x.status == 0 {
			err = bad.Err // not the URL itself
		}
		return x.failure(ctx, err, key)
	}
	kind := omni.AgentBadRequest
	switch {
	case errors.Is(said, a2a.ErrInternalError), errors.Is(said, a2a.ErrServerError), errors.Is(said, a2a.ErrTaskNotFound):
		kind = omni.AgentTransient
	case errors.Is(said, a2a.ErrUnauthenticated), errors.Is(said, a2a.ErrUnauthorized):
		kind = omni.AgentBadCredentials
	case errors.Is(said, a2a.ErrInvalidAgentResponse):
		kind = omni.AgentMalformed
	}
	return scrubbed(&omni.AgentError{Kind: kind, Status: x.status, Reason: said.Error()}, key)
}

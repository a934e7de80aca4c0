package provider

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/omnihub/omni/internal/omni"
)

// errNoStream is what is said of an agent that refuses to stream, whatever its
// card says: nothing was done, and it may be asked otherwise.
var errNoStream = errors.New("the agent does not stream")

// Codes of JSON-RPC and of A2A (UnsupportedOperationError).
const (
	codeInternal    = -32603
	codeServer      = -32000
	codeUnsupported = -32004
)

// a2aStream gathers what an agent tells while it makes its answer: a message,
// or a task with its artifacts.
type a2aStream struct {
	message *a2a.Message
	task    *a2a.Task
	tell    func(text string) // nil: nobody listens
	told    bool
}

// stream sends a message and listens until the agent has answered. A stream
// that breaks off is no lost task: it is asked for by its id.
func (c *a2aCall) stream(ctx context.Context, request *a2a.SendMessageRequest) (a2a.SendMessageResult, error) {
	x := &exchange{stream: true}
	s := &a2aStream{tell: c.req.OnDelta}
	var failed error
	for event, err := range c.peer.transport(x.client(c.http)).SendStreamingMessage(ctx, c.params(), request) {
		if err != nil {
			failed = err
			break
		}
		if s.hear(event); s.settled() {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		if s.task != nil {
			c.cancel(ctx, s.task.ID)
		}
		return nil, ctx.Err()
	case s.message != nil:
		return s.message, nil
	case s.task != nil && s.settled():
		return s.task, nil
	case failed == nil && s.task == nil && x.body != nil:
		return c.unstreamed(ctx, x)
	case failed != nil:
		failed = a2aFailure(ctx, x, failed, c.req.APIKey)
	case s.task == nil:
		failed = x.failure(ctx, errors.New("the stream held no events"), c.req.APIKey)
	default:
		failed = &omni.AgentError{Kind: omni.AgentCut, Status: x.status, Reason: errCut.Error()}
	}
	return c.resume(ctx, s.task, failed)
}

// resume waits for a task whose stream broke off. Where it cannot be asked for,
// the failure is the stream's.
func (c *a2aCall) resume(ctx context.Context, task *a2a.Task, failed error) (a2a.SendMessageResult, error) {
	e, ok := errors.AsType[*omni.AgentError](failed)
	if task == nil || !ok || e.Kind != omni.AgentCut {
		return nil, failed
	}
	over, err := c.await(ctx, &a2a.Task{ID: task.ID, Status: a2a.TaskStatus{State: a2a.TaskStateWorking}})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, failed
	}
	return over, nil
}

// unstreamed reads the answer of an agent that answered with JSON where a
// stream was asked for.
func (c *a2aCall) unstreamed(ctx context.Context, x *exchange) (a2a.SendMessageResult, error) {
	var envelope struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(x.body, &envelope); err != nil {
		return nil, x.failure(ctx, err, c.req.APIKey)
	}
	if e := envelope.Error; e != nil {
		kind := omni.AgentBadRequest
		switch {
		case e.Code == codeUnsupported:
			return nil, errNoStream
		case e.Code == codeInternal, e.Code == codeServer:
			kind = omni.AgentTransient
		}
		return nil, scrubbed(&omni.AgentError{Kind: kind, Status: x.status, Reason: e.Message}, c.req.APIKey)
	}
	result := envelope.Result
	if result == nil {
		result = x.body
	}
	var answer a2a.StreamResponse
	if err := json.Unmarshal(result, &answer); err != nil {
		return nil, x.failure(ctx, err, c.req.APIKey)
	}
	s := &a2aStream{}
	s.hear(answer.Event)
	switch {
	case s.message != nil:
		return s.message, nil
	case s.task != nil:
		return s.task, nil
	default:
		return nil, x.failure(ctx, errors.New("it holds no message and no task"), c.req.APIKey)
	}
}

func (s *a2aStream) settled() bool {
	return s.message != nil || s.task != nil && a2aSettled(s.task.Status.State)
}

// hear takes one event.
func (s *a2aStream) hear(event a2a.Event) {
	switch e := event.(type) {
	case *a2a.Message:
		s.message = e
		s.say("", e.Parts)
	case *a2a.Task:
		s.task = a2aTidy(e)
		for _, artifact := range e.Artifacts {
			s.say("\n\n", artifact.Parts)
		}
	case *a2a.TaskStatusUpdateEvent:
		s.of(e.TaskID).Status = e.Status
	case *a2a.TaskArtifactUpdateEvent:
		if e.Artifact != nil {
			s.grow(s.of(e.TaskID), e)
		}
	}
}

// of is the task that an update is about. Agents begin with the task itself;
// one that does not is heard all the same.
func (s *a2aStream) of(id a2a.TaskID) *a2a.Task {
	if s.task == nil {
		s.task = &a2a.Task{ID: id, Status: a2a.TaskStatus{State: a2a.TaskStateWorking}}
	}
	return s.task
}

// grow adds to an artifact, or puts a new one in its place. A text that is added
// to a text goes on with it: agents tell their words as they come.
func (s *a2aStream) grow(task *a2a.Task, e *a2a.TaskArtifactUpdateEvent) {
	at := slices.IndexFunc(task.Artifacts, func(a *a2a.Artifact) bool { return a.ID == e.Artifact.ID })
	switch {
	case at < 0:
		task.Artifacts = append(task.Artifacts, e.Artifact)
		s.say("\n\n", e.Artifact.Parts)
		return
	case !e.Append:
		task.Artifacts[at] = e.Artifact
		return
	}
	s.say("", e.Artifact.Parts)
	artifact := task.Artifacts[at]
	more := e.Artifact.Parts
	if last := len(artifact.Parts) - 1; last >= 0 && len(more) > 0 && artifact.Parts[last] != nil && more[0] != nil {
		before, isText := artifact.Parts[last].Content.(a2a.Text)
		if after, ok := more[0].Content.(a2a.Text); ok && isText {
			grown := *artifact.Parts[last]
			grown.Content = before + after
			artifact.Parts[last], more = &grown, more[1:]
		}
	}
	artifact.Parts = append(artifact.Parts, more...)
}

// say tells the texts of parts on, with between where something was told before.
func (s *a2aStream) say(between string, parts a2a.ContentParts) {
	if s.tell == nil {
		return
	}
	var texts []string
	for _, p := range parts {
		if p == nil {
			continue
		}
		if text, ok := p.Content.(a2a.Text); ok && text != "" {
			texts = append(texts, string(text))
		}
	}
	if len(texts) == 0 {
		return
	}
	said := strings.Join(texts, "\n\n")
	if s.told {
		said = between + said
	}
	s.told = true
	s.tell(said)
}

package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// maxTestCall bounds a test call, whatever the agent's own timeout: somebody
// waits for it.
const maxTestCall = 60 * time.Second

// maxTestCalls bounds how many are under way in a process.
const maxTestCalls = 50

// AgentTestRequest is what an agent is asked to try it.
type AgentTestRequest struct {
	Text string `json:"text" required:"true" minLength:"1" maxLength:"20000" doc:"what the agent is told, as by a person in a dm"`
}

// AgentTest is what came of a test call: an answer or an error.
type AgentTest struct {
	Text      string             `json:"text"`
	Parts     []message.Content  `json:"parts,omitempty" doc:"where the agent answers with more than a text"`
	Actions   []omni.AgentAction `json:"actions,omitempty" doc:"what it wants done; nothing of it is"`
	Later     bool               `json:"later,omitempty" doc:"it took the call and will answer by POST /turns/{id}/reply: there is no such turn"`
	LatencyMs int64              `json:"latencyMs" required:"true"`
	Usage     *omni.AgentUsage   `json:"usage,omitempty"`
	Cost      *omni.Cost         `json:"cost,omitempty"`
	Details   map[string]any     `json:"details,omitempty" doc:"what the provider says: model, finishReason"`
	Error     *AgentTestError    `json:"error,omitempty"`
}

// AgentTestError is why a test call failed.
type AgentTestError struct {
	Kind         omni.AgentErrorKind `json:"kind" required:"true"`
	Status       int                 `json:"status,omitempty" doc:"HTTP, where there was an answer"`
	Message      string              `json:"message" required:"true"`
	RetryAfterMs int64               `json:"retryAfterMs,omitempty"`
}

// Test asks an agent, as a turn would, and says what came of it. No turn is
// made, nothing is kept.
func (s *Agents) Test(ctx context.Context, who *omni.APIKey, id uuid.UUID, req AgentTestRequest) (*AgentTest, error) {
	if err := mayUseAgents(who); err != nil {
		return nil, err
	}
	a, err := visibleAgent(ctx, s.store, who, id)
	if err != nil {
		return nil, err
	}
	text := omni.CleanText(req.Text)
	if text == "" {
		return nil, invalid("text", "is required")
	}
	if s.caller == nil {
		return nil, &Error{Kind: KindUnavailable, Code: CodeUnavailable, Detail: "this process asks no agents"}
	}
	select {
	case s.testing <- struct{}{}:
		defer func() { <-s.testing }()
	default:
		return nil, &Error{Kind: KindLimited, Code: CodeTooManyTests, Detail: "too many agents are being tried: wait for their answers", RetryAfter: time.Second}
	}
	turn := uuid.New()
	call := omni.AgentRequest{TurnID: turn, Instance: "test", Channel: "test", Chat: message.Chat{ID: "test", Type: message.ChatDM},
		SessionKey: "test:" + turn.String(), Config: a.Config, APIKey: a.APIKey,
		Person: omni.AgentPerson{Name: "Test"}, Sender: omni.AgentSender{ID: "test", Name: "Test"},
		Messages: []omni.TurnMessage{{ID: turn, Text: text, Content: message.Content{Type: message.TypeText, Text: text},
			SenderName: "Test", SenderID: "test", ExternalID: "test"}}}
	timeout := min(time.Duration(a.Config.TimeoutSeconds)*time.Second, maxTestCall)
	asked, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	reply, err := s.caller.Reply(asked, call)
	out := &AgentTest{LatencyMs: time.Since(began).Milliseconds()}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out.Error = testError(err, asked.Err() != nil, timeout)
		return out, nil
	}
	out.Text, out.Parts, out.Actions, out.Later, out.Details = omni.CleanText(reply.Text), reply.Parts, omni.CheckActions(reply.Actions), reply.Later, reply.Details
	if reply.Usage != (omni.AgentUsage{}) {
		out.Usage = &reply.Usage
		out.Cost = omni.CostOf(a.Config, reply.Usage)
	}
	return out, nil
}

func testError(err error, late bool, timeout time.Duration) *AgentTestError {
	if failure, ok := errors.AsType[*omni.AgentError](err); ok {
		return &AgentTestError{Kind: failure.Kind, Status: failure.Status, Message: failure.Reason, RetryAfterMs: failure.RetryAfter.Milliseconds()}
	}
	if late {
		return &AgentTestError{Kind: omni.AgentTransient, Message: fmt.Sprintf("no answer within %s", timeout)}
	}
	return &AgentTestError{Kind: omni.AgentTransient, Message: "the call failed"}
}

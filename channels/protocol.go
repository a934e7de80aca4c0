package channels

import (
	"fmt"
	"time"

	"github.com/omnihub/omni/channels/message"
)

// The channel protocol: how an instance is served on NATS. The gateway speaks
// it for the channels in the binary; a foreign program may speak it for its
// own. Requests are message.Outbound as JSON, answers are Reply.

// Operation is one endpoint of a served instance.
type Operation string

// The operations an instance may serve. Send is always there.
const (
	OpSend    Operation = "send"
	OpEdit    Operation = "edit"
	OpDelete  Operation = "delete"
	OpReact   Operation = "react"
	OpTyping  Operation = "typing"
	OpRead    Operation = "read"
	OpFile    Operation = "file"    // where an attachment's bytes are: targetId is its handle (message.Media.Ref)
	OpOutcome Operation = "outcome" // what became of a key: the gateway's memory of ten minutes

	// OpWithdraw says that whoever asked for a key has left: a request that was
	// not begun is not to be. It has no answer of its own.
	OpWithdraw Operation = "withdraw"
)

// The headers of a request.
const (
	HeaderDeadline = "Omni-Deadline" // RFC 3339 with nanoseconds; after it the request is not executed
	HeaderKey      = "Omni-Key"      // the part's idempotency key
)

// Subject returns where an operation of an instance is served.
func Subject(channelType, instanceID string, op Operation) string {
	return fmt.Sprintf("svc.channel.%s.%s.%s", channelType, instanceID, op)
}

// Reply is the answer to a request. Exactly one of Receipt and Error is set,
// for OpFile of File and Error; for OpOutcome both may be absent: nothing is
// remembered.
type Reply struct {
	Receipt *message.Receipt `json:"receipt,omitempty"`
	File    *FileLocation    `json:"file,omitempty"`
	Error   *ReplyError      `json:"error,omitempty"`
}

// ReplyError is SendError on the wire.
type ReplyError struct {
	Kind         ErrorKind `json:"kind"`
	Certain      bool      `json:"certain"`
	RetryAfterMs int64     `json:"retryAfterMs,omitempty"`
	Scope        Scope     `json:"scope,omitempty"`
	Reason       string    `json:"reason"`
}

// AsSendError turns the wire form back into the error the session returned.
func (e *ReplyError) AsSendError() *SendError {
	return &SendError{Kind: e.Kind, Certain: e.Certain, Scope: e.Scope, Reason: e.Reason,
		RetryAfter: time.Duration(e.RetryAfterMs) * time.Millisecond}
}

// NewReplyError is the wire form of a session's error. Errors that are not a
// SendError have an unknown outcome.
func NewReplyError(err *SendError) *ReplyError {
	return &ReplyError{Kind: err.Kind, Certain: err.Certain, Scope: err.Scope, Reason: err.Reason,
		RetryAfterMs: err.RetryAfter.Milliseconds()}
}

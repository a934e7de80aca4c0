package control

import (
	"errors"
	"fmt"
	"time"

	"github.com/omnihub/omni/internal/omni"
)

// Kind classifies an error for whoever turns it into an answer.
type Kind string

// The kinds of errors.
const (
	KindMalformed    Kind = "malformed"    // cannot be read at all
	KindInvalid      Kind = "invalid"      // a field is wrong; see Fields
	KindUnauthorized Kind = "unauthorized" // no key, or not a valid one
	KindForbidden    Kind = "forbidden"    // the key lacks a scope
	KindNotFound     Kind = "not_found"    // unknown, or not the caller's
	KindConflict     Kind = "conflict"     // not in this state
	KindUnsupported  Kind = "unsupported"  // the channel cannot do this
	KindUnavailable  Kind = "unavailable"  // a part of the hub is down
	KindLimited      Kind = "limited"      // too often: come again after RetryAfter
)

// Error is what a use case refuses with. Any other error is a failure of the
// hub itself.
type Error struct {
	Kind       Kind
	Code       string // stable, snake_case
	Detail     string // for people
	Fields     []Field
	RetryAfter time.Duration
}

// Field is a complaint about one field, named by its path in the request.
type Field struct {
	Field   string `json:"field" doc:"path of the field, as in the request body"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// The stable codes.
const (
	CodeInvalid        = "validation_failed"
	CodeMalformed      = "malformed_body"
	CodeUnauthorized   = "unauthorized"
	CodeForbidden      = "insufficient_scope"
	CodeNotFound       = "not_found"
	CodeUnsupported    = "capability_not_supported"
	CodeKeyReused      = "idempotency_key_reused"
	CodeMediaFailed    = "media_failed"
	CodeNotScheduled   = "not_scheduled"
	CodeNotOpen        = "dead_letter_not_open"
	CodeNotUnknown     = "not_unknown"
	CodeInDelivery     = "delivery_in_progress"
	CodeChatPaused     = "chat_paused"
	CodeTurnInProgress = "turn_in_progress"
	CodeAnswered       = "already_answered"
	CodeReplyLate      = "reply_too_late"
	CodeNotAwaited     = "reply_not_awaited"
	CodeTurnOver       = "turn_over"
	CodeInstanceGone   = "instance_deleted"
	CodeUnavailable    = "unavailable"
	CodeDisconnected   = "instance_disconnected"
	CodeAlreadyLinked  = "already_linked"
	CodeAlone          = "only_account"
	CodeUndone         = "already_undone"
	CodeSuperseded     = "merge_superseded"
	CodeSettled        = "suggestion_settled"
	CodeAgentInUse     = "agent_in_use"
	CodeTooManyRoutes  = "too_many_routes"
	CodeNoLoginNeeded  = "qr_not_available"
	CodeLastAdmin      = "last_admin_key"
	CodeKeyExpired     = "key_expired"
	CodeRotated        = "key_changed"
	CodePairingClosed  = "pairing_not_open"
	CodeTooManyGuesses = "too_many_guesses"
	CodeTooManyTests   = "too_many_tests"
)

// invalid refuses one field.
func invalid(field, message string) *Error {
	return invalidFields(Field{Field: field, Message: message})
}

func invalidFields(fields ...Field) *Error {
	detail := "the request is not valid"
	if len(fields) > 0 {
		detail = fields[0].Field + ": " + fields[0].Message
	}
	return &Error{Kind: KindInvalid, Code: CodeInvalid, Detail: detail, Fields: fields}
}

func notFound(what string) *Error {
	return &Error{Kind: KindNotFound, Code: CodeNotFound, Detail: "no such " + what}
}

// NotSupported refuses what a channel cannot do.
func NotSupported(channel, what string) *Error {
	return &Error{
		Kind: KindUnsupported, Code: CodeUnsupported,
		Detail: fmt.Sprintf("channel %s does not support %s", channel, what),
	}
}

// orNotFound names what the store did not find.
func orNotFound(err error, what string) error {
	if errors.Is(err, omni.ErrNotFound) {
		return notFound(what)
	}
	return err
}

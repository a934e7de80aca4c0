package channels

import (
	"fmt"
	"time"
)

// ErrorKind classifies a failed send; it steers the engine.
type ErrorKind string

// The kinds of send errors.
const (
	ErrRateLimited    ErrorKind = "rate_limited"    // not sent; try again after RetryAfter
	ErrTransient      ErrorKind = "transient"       // try again; Certain says whether it is known not to have been sent
	ErrBadCredentials ErrorKind = "bad_credentials" // not sent; a person must act
	ErrNotFound       ErrorKind = "not_found"       // not sent; the chat is gone or blocked us
	ErrUnsupported    ErrorKind = "unsupported"     // not sent; the channel cannot do this
	ErrTooLarge       ErrorKind = "too_large"       // not sent; over the platform's limit
	ErrRejected       ErrorKind = "rejected"        // not sent; refused for good
	ErrNotConnected   ErrorKind = "not_connected"   // not sent; the session is down, or nobody serves it
	ErrUnknown        ErrorKind = "unknown"         // may or may not have been sent
)

// Retryable reports whether the same request may be sent again later.
func (k ErrorKind) Retryable() bool {
	switch k {
	case ErrRateLimited, ErrTransient, ErrNotConnected:
		return true
	default:
		return false
	}
}

// Scope is what a platform's limit holds up.
type Scope string

// The scopes of ErrRateLimited.
const (
	// ScopeUnknown: the platform does not say. It is taken for the chat's,
	// until another chat is told the same meanwhile: then for the account's.
	ScopeUnknown Scope = ""
	ScopeChat    Scope = "chat"
	ScopeAccount Scope = "account"
)

// SendError is the typed failure of Session.Send.
type SendError struct {
	Kind       ErrorKind
	Certain    bool          // known not to have reached the chat
	RetryAfter time.Duration // zero: the engine's own back-off
	Scope      Scope         // of ErrRateLimited: who has to wait
	Reason     string        // for people; never holds a secret
}

func (e *SendError) Error() string {
	return fmt.Sprintf("%s: %s", e.Kind, e.Reason)
}

// ConfigError is a field-level complaint about a channelConfig.
type ConfigError struct {
	Field  string // "channelConfig.callbackUrl"
	Reason string // what would be right
}

func (e *ConfigError) Error() string { return e.Field + ": " + e.Reason }

// WebhookError refuses a platform's call.
type WebhookError struct {
	Status int    // HTTP status
	Code   string // stable, snake_case
	Field  string // "" where the whole request is meant
	Detail string // for people
}

func (e *WebhookError) Error() string { return e.Code + ": " + e.Detail }

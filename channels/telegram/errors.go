package telegram

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-telegram/bot"

	"github.com/omnihub/omni/channels"
)

// classify turns a failed call into a typed error. What is not an answer of
// Telegram's is told apart by whether the request was written.
func (a *api) classify(err error, wire *channels.Wire, got *answer) error {
	if err == nil {
		return nil
	}
	refused := func(kind channels.ErrorKind) error {
		return &channels.SendError{Kind: kind, Certain: true, Reason: a.reason(err)}
	}
	var tooMany *bot.TooManyRequestsError
	var migrated *bot.MigrateError
	switch {
	case errors.As(err, &tooMany):
		return &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Reason: a.reason(err),
			RetryAfter: channels.RetryAfterSeconds(tooMany.RetryAfter)}
	case errors.As(err, &migrated):
		return refused(channels.ErrRejected)
	case errors.Is(err, bot.ErrorUnauthorized), errors.Is(err, bot.ErrorNotFound):
		// 404 is how Telegram answers a token that has not even the form of one.
		return refused(channels.ErrBadCredentials)
	case errors.Is(err, bot.ErrorForbidden): // blocked, kicked, or never spoken to
		return refused(channels.ErrNotFound)
	case errors.Is(err, bot.ErrorConflict):
		return refused(channels.ErrRejected)
	case errors.Is(err, bot.ErrorBadRequest):
		return refused(badRequestKind(err.Error()))
	case got.code() >= 400 && got.code() < 500:
		return refused(clientErrorKind(got.code()))
	default: // no answer, a 5xx, or an answer that is not the Bot API's
		return wire.SendError(err, false, a.reason(err))
	}
}

func clientErrorKind(code int) channels.ErrorKind {
	switch code {
	case http.StatusTooManyRequests:
		return channels.ErrRateLimited
	case http.StatusRequestEntityTooLarge:
		return channels.ErrTooLarge
	default:
		return channels.ErrRejected
	}
}

func badRequestKind(text string) channels.ErrorKind {
	switch text = strings.ToLower(text); {
	case strings.Contains(text, "chat not found"), strings.Contains(text, "user not found"), strings.Contains(text, "peer_id_invalid"):
		return channels.ErrNotFound
	case strings.Contains(text, "too long"), strings.Contains(text, "too big"), strings.Contains(text, "too large"):
		return channels.ErrTooLarge
	default:
		return channels.ErrRejected
	}
}

// reason words an error for people, without URL and token.
func (a *api) reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "Telegram did not answer in time"
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return a.scrub(clean(err.Error()))
}

func isBadMarkup(err error) bool {
	return errors.Is(err, bot.ErrorBadRequest) && strings.Contains(err.Error(), "can't parse entities")
}

func isNotModified(err error) bool {
	return errors.Is(err, bot.ErrorBadRequest) && strings.Contains(err.Error(), "message is not modified")
}

func isGone(err error) bool {
	return errors.Is(err, bot.ErrorBadRequest) && strings.Contains(err.Error(), "message to delete not found")
}

// isUnfetchable: Telegram fetches URLs itself, up to its own sizes, and looks at
// what it gets.
func isUnfetchable(err error) bool {
	if !errors.Is(err, bot.ErrorBadRequest) {
		return false
	}
	text := strings.ToLower(err.Error())
	for _, said := range []string{"failed to get http url content", "wrong file identifier/http url specified", "wrong type of the web page content",
		"webpage_curl_failed", "webpage_media_empty", "image_process_failed", "photo_invalid_dimensions"} {
		if strings.Contains(text, said) {
			return true
		}
	}
	return false
}

func isTooBig(err error) bool {
	return errors.Is(err, bot.ErrorBadRequest) && strings.Contains(err.Error(), "file is too big")
}

func isNoFile(err error) bool {
	text := err.Error()
	return errors.Is(err, bot.ErrorBadRequest) && !isAway(err) && (strings.Contains(text, "file_id") || strings.Contains(text, "file identifier"))
}

// isAway is how Telegram says that it may have a file a little later.
func isAway(err error) bool {
	return errors.Is(err, bot.ErrorBadRequest) && strings.Contains(err.Error(), "temporarily unavailable")
}

func isCaption(err error) bool {
	return errors.Is(err, bot.ErrorBadRequest) && strings.Contains(err.Error(), "there is no text in the message to edit")
}

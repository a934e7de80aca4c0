package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/omnihub/omni/api/problem"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// Authenticator says whose a key is.
type Authenticator interface {
	Authenticate(ctx context.Context, key string) (*omni.APIKey, error)
}

type callerKey struct{}

// Caller is who makes the request. It panics outside of Required: handlers are
// only ever mounted behind it.
func Caller(ctx context.Context) *omni.APIKey {
	return ctx.Value(callerKey{}).(*omni.APIKey) //nolint:forcetypeassert // see above
}

// FindCaller is who makes the request, if it came in with a key.
func FindCaller(ctx context.Context) (*omni.APIKey, bool) {
	who, ok := ctx.Value(callerKey{}).(*omni.APIKey)
	return who, ok
}

// WithCaller returns a context with a caller.
func WithCaller(ctx context.Context, who *omni.APIKey) context.Context {
	return context.WithValue(ctx, callerKey{}, who)
}

type recheckKey struct{}

// StillValid asks again whether the caller's key is good, for connections that
// outlive it. Where that cannot be found out, it is.
func StillValid(ctx context.Context) bool {
	check, ok := ctx.Value(recheckKey{}).(func(context.Context) bool)
	return !ok || check(ctx)
}

// Required is the middleware that lets nobody pass without a valid key, nor
// faster than the key's rate, and lets nobody guess (guesses; nil: they may).
func Required(a Authenticator, limits *Limits, guesses *Guesses, log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		key := keyOf(c.Request)
		if wait := guesses.Wait(c.RemoteIP(), key, time.Now()); wait > 0 {
			abort(c, problem.New(http.StatusTooManyRequests, "too_many_wrong_keys", "too many wrong API keys came from this address").After(wait))
			return
		}
		who, err := a.Authenticate(c.Request.Context(), key)
		guesses.Note(c.RemoteIP(), key, err, time.Now())
		if err != nil {
			abort(c, problem.From(c.Request.Context(), log, err))
			return
		}
		if wait := limits.Take(who.ID, time.Now()); wait > 0 {
			abort(c, problem.New(http.StatusTooManyRequests, "rate_limited", "this key makes too many requests").After(wait))
			return
		}
		ctx := WithCaller(c.Request.Context(), who)
		ctx = context.WithValue(ctx, recheckKey{}, func(ctx context.Context) bool {
			_, err := a.Authenticate(ctx, key)
			var refused *control.Error
			return !errors.As(err, &refused) || refused.Kind != control.KindUnauthorized
		})
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
}

// RequireScope refuses a caller without the scope; for handlers outside of the
// typed operations.
func RequireScope(scope string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if p := CheckScope(Caller(c.Request.Context()), scope); p != nil {
			abort(c, p)
		}
	}
}

// CheckScope is nil if the caller has the scope.
func CheckScope(who *omni.APIKey, scope string) *problem.Problem {
	if who.Allows(scope) {
		return nil
	}
	return problem.New(http.StatusForbidden, control.CodeForbidden, "this needs a key with the scope "+scope)
}

func abort(c *gin.Context, p *problem.Problem) {
	problem.Write(c.Writer, c.Request, p)
	c.Abort()
}

// The subprotocols of a WebSocket. A browser cannot set headers on one, so it
// may bring its key as a second subprotocol: "omni.key." and the key in
// base64url without padding. Only Protocol is ever answered.
const (
	Protocol       = "omni.events"
	protocolPrefix = "omni.key."
)

// keyOf finds the key in Authorization, x-api-key or, for a WebSocket, in
// Sec-WebSocket-Protocol. Never in the URL: URLs end in logs.
func keyOf(r *http.Request) string {
	if h := r.Header.Get("Authorization"); h != "" {
		if scheme, key, ok := strings.Cut(h, " "); ok && strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(key)
		}
		return ""
	}
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return key
	}
	for _, h := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(h, ",") {
			if enc, ok := strings.CutPrefix(strings.TrimSpace(p), protocolPrefix); ok {
				key, _ := base64.RawURLEncoding.DecodeString(enc)
				return string(key)
			}
		}
	}
	return ""
}

package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/omnihub/omni/api/auth"
	"github.com/omnihub/omni/api/problem"
	"github.com/omnihub/omni/internal/telemetry"
)

const headerRequestID = "X-Request-Id"

// requestID takes the caller's id if it is sane, else gives one.
func requestID(c *gin.Context) {
	id := c.GetHeader(headerRequestID)
	if !sane(id) {
		id = uuid.NewString()
	}
	c.Header(headerRequestID, id)
	c.Request = c.Request.WithContext(problem.WithRequestID(c.Request.Context(), id))
}

// sane keeps ids short and free of what could break a log.
func sane(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("-_.:", r)
	})
}

// traced makes a span of each request, in the trace that the caller named.
func traced(tracer trace.Tracer) gin.HandlerFunc {
	if tracer == nil {
		return func(*gin.Context) {}
	}
	return func(c *gin.Context) {
		ctx := propagation.TraceContext{}.Extract(c.Request.Context(), propagation.HeaderCarrier(c.Request.Header))
		ctx, span := tracer.Start(ctx, method(c)+" "+route(c), trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", c.Request.Method),
				attribute.String("http.route", route(c)), attribute.String("request_id", problem.RequestID(c.Request.Context()))))
		defer span.End()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
		status := c.Writer.Status()
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
	}
}

// route is the pattern that matched, with {id}s: what metrics may be split by.
func route(c *gin.Context) string {
	if p := c.FullPath(); p != "" {
		return p
	}
	return "unmatched"
}

// method is the request's, if it is one that HTTP knows: any other word would
// let strangers fill the metrics.
func method(c *gin.Context) string {
	switch m := c.Request.Method; m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return m
	default:
		return "_OTHER"
	}
}

// measured times each request by route and status.
func measured(meter metric.Meter) (gin.HandlerFunc, error) {
	if meter == nil {
		return func(*gin.Context) {}, nil
	}
	seconds, err := meter.Float64Histogram("omni_http_request_seconds", metric.WithUnit("s"),
		metric.WithDescription("one HTTP request, until answered"),
		metric.WithExplicitBucketBoundaries(.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60))
	if err != nil {
		return nil, fmt.Errorf("declaring a metric: %w", err)
	}
	return func(c *gin.Context) {
		start := time.Now()
		c.Next()
		seconds.Record(c.Request.Context(), time.Since(start).Seconds(), metric.WithAttributes(
			attribute.String("method", method(c)), attribute.String("route", route(c)),
			attribute.Int("status", c.Writer.Status())))
	}, nil
}

// logged writes one line per request; never its query, which may hold what
// people typed. The many that went well are for debugging.
func logged(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		path := c.Request.URL.Path
		c.Next()
		status := c.Writer.Status()
		level := slog.LevelDebug
		switch {
		case status >= http.StatusInternalServerError:
			level = slog.LevelWarn
		case status < http.StatusBadRequest && c.Request.Method != http.MethodGet && strings.HasPrefix(path, "/api/"):
			level = slog.LevelInfo
		}
		ctx := c.Request.Context()
		if !log.Enabled(ctx, level) {
			return
		}
		if who, ok := auth.FindCaller(ctx); ok {
			ctx = telemetry.With(ctx, slog.String(telemetry.KeyTenant, who.TenantID), slog.String("key_id", who.ID.String()))
		}
		log.LogAttrs(ctx, level, "request", slog.String("method", c.Request.Method), slog.String("path", path),
			slog.Int("status", status), slog.Duration("took", time.Since(start)), slog.Int("bytes", c.Writer.Size()),
			slog.String("request_id", problem.RequestID(ctx)))
	}
}

// recovered turns a panic into a 500 and a line in the log.
func recovered(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && err == http.ErrAbortHandler { //nolint:errorlint // compared as net/http does
				panic(p)
			}
			ctx := c.Request.Context()
			log.ErrorContext(ctx, "handler panicked", "panic", fmt.Sprint(p), "path", c.Request.URL.Path,
				"request_id", problem.RequestID(ctx), "stack", string(debug.Stack()))
			c.Abort()
			if !c.Writer.Written() {
				problem.Write(c.Writer, c.Request, problem.New(http.StatusInternalServerError, "internal",
					"something went wrong here; the log has the details"))
			}
		}()
		c.Next()
	}
}

// secured sets what browsers need to be told. Pages of channels may be framed
// by the sites they are for.
func secured(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	switch path := c.Request.URL.Path; {
	case strings.HasPrefix(path, "/chat/"):
	case strings.HasPrefix(path, "/api/"):
		h.Set("Cache-Control", "no-store")
		fallthrough
	default:
		h.Set("X-Frame-Options", "DENY")
	}
}

// protected asks for a key wherever one is needed, also where there is nothing.
func protected(required gin.HandlerFunc) gin.HandlerFunc {
	return func(c *gin.Context) {
		if needsKey(c.Request.URL.Path) {
			required(c)
		}
	}
}

func needsKey(path string) bool {
	switch path {
	case "/api/v1/health", "/api/v2/health":
		return false
	}
	for _, prefix := range []string{"/api", "/ws", "/mcp"} {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return true
		}
	}
	return false
}

// jsonBody takes curl -d at what it sends, not at what it says: every body
// below /api is JSON, and curl calls it a form unless told otherwise.
func jsonBody(c *gin.Context) {
	if !strings.HasPrefix(c.Request.URL.Path, "/api/") {
		return
	}
	switch c.ContentType() {
	case "application/x-www-form-urlencoded", "text/plain":
		c.Request.Header.Set("Content-Type", "application/json")
	}
}

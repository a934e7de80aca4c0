package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/omnihub/omni/api/auth"
	"github.com/omnihub/omni/api/problem"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

// maxAuditPath bounds what is kept of a path, in bytes.
const maxAuditPath = 300

// audited notes each request that could change something with the key it came
// with, however it ended.
func audited(audit *control.KeyAudit) gin.HandlerFunc {
	return func(c *gin.Context) {
		who, ok := auth.FindCaller(c.Request.Context())
		if !ok || !changes(c.Request.Method) {
			return
		}
		status := http.StatusInternalServerError // what a panic will be answered with
		defer func() {
			audit.Note(omni.KeyUse{TenantID: who.TenantID, KeyID: who.ID, Method: method(c), Route: documented(route(c)),
				Path: auditPath(c.Request.URL.Path), Status: status, RequestID: problem.RequestID(c.Request.Context()),
				Address: c.RemoteIP(), CreatedAt: time.Now().UTC()})
		}()
		c.Next()
		status = c.Writer.Status()
	}
}

func changes(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	default:
		return true
	}
}

// documented is a route as the OpenAPI document writes it: {id}, not :id.
func documented(route string) string {
	parts := strings.Split(route, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

// auditPath is a path as the database takes it: one that it refused would take
// a whole batch with it.
func auditPath(path string) string {
	path = path[:min(len(path), maxAuditPath)]
	return strings.ReplaceAll(strings.ToValidUTF8(path, "\uFFFD"), "\x00", "\uFFFD")
}

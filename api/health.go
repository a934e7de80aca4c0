package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/omnihub/omni/internal/control"
)

// mountHealth serves what load balancers, scripts and Prometheus ask, without
// a key.
func mountHealth(e *gin.Engine, health *control.Health, metrics http.Handler) {
	// HEAD too: some load balancers ask no other way.
	methods := []string{http.MethodGet, http.MethodHead}
	e.Match(methods, "/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	ready := func(c *gin.Context) {
		r := health.Ready(c.Request.Context())
		status := http.StatusOK
		if r.Status != "ready" {
			status = http.StatusServiceUnavailable
			c.Header("Retry-After", "1")
		}
		c.Header("Cache-Control", "no-store")
		c.JSON(status, r)
	}
	for _, path := range []string{"/readyz", "/api/v1/health", "/api/v2/health"} {
		e.Match(methods, path, ready)
	}
	if metrics != nil {
		e.GET("/metrics", gin.WrapH(metrics))
	}
}

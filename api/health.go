package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// mountHealth serves what load balancers, scripts and Prometheus ask, without
// a key.
func mountHealth(e *gin.Engine, d Deps) {
	// HEAD too: some load balancers ask no other way.
	methods := []string{http.MethodGet, http.MethodHead}
	e.Match(methods, "/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	ready := func(c *gin.Context) {
		r := d.Control.Health.Ready(c.Request.Context())
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
	if d.Metrics != nil {
		e.GET("/metrics", gin.WrapH(d.Metrics))
	}
}

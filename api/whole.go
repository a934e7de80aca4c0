package api

import (
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// headAsGet answers HEAD as GET is answered; net/http leaves the body out.
// What has no end is not asked that way.
type headAsGet struct{ *gin.Engine }

func (h headAsGet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead && !endless(r.URL.Path) {
		r = r.WithContext(r.Context())
		r.Method = http.MethodGet
	}
	h.Engine.ServeHTTP(w, r)
}

func endless(path string) bool { return path == "/api/v1/events/stream" || path == "/ws/events" }

// What of a body that is too large is read all the same.
const (
	heardBytes = 32 << 20
	heardFor   = 10 * time.Second
)

// heard reads the rest of a body that was refused as too large: a client that
// is still writing would see its connection break instead of the answer.
func heard(c *gin.Context) {
	body := c.Request.Body
	c.Request.Body = io.NopCloser(body) // huma closes what it refuses; net/http closes it in the end
	c.Next()
	if c.Writer.Status() != http.StatusRequestEntityTooLarge || !needsKey(c.Request.URL.Path) {
		return
	}
	_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(heardFor))
	_, _ = io.CopyN(io.Discard, body, heardBytes)
}

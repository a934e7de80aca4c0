package media

import (
	"mime"
	"net/http"
	"strconv"
	"time"
)

// sniffed is how many first bytes tell what the others are.
const sniffed = 512

// unspecific is what servers say of bytes that they know nothing of.
const unspecific = "application/octet-stream"

// mimeType is what an attachment is: as the platform says, else its server,
// else as its first bytes look.
func mimeType(said, served string, head []byte) string {
	for _, s := range []string{said, served} {
		if kind, _, err := mime.ParseMediaType(s); err == nil && kind != unspecific {
			return s
		}
	}
	return http.DetectContentType(head)
}

// retryAfter is what a server asks to wait, in seconds; 0 where it says nothing.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestWait)
}

// longestWait keeps a server's wish a duration.
const longestWait = time.Hour

package custom

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

const (
	secretPrefix = "whsec_"
	// tolerance is how far a timestamp may be off, in both directions.
	tolerance = 5 * time.Minute
	// maxSignatures bounds the work that one request can ask for.
	maxSignatures = 16
)

var errSecretForm = errors.New(`must be "whsec_" followed by the base64 of 24 to 64 random bytes`)

// parseSecret returns the key of a "whsec_…" secret.
func parseSecret(s string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return nil, errSecretForm
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		// Generators differ in whether they pad.
		key, err = base64.RawStdEncoding.DecodeString(encoded)
	}
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errSecretForm
	}
	return key, nil
}

// sign returns the value of the webhook-signature header.
func sign(key []byte, id, timestamp string, body []byte) string {
	return "v1," + base64.StdEncoding.EncodeToString(mac(key, id, timestamp, body))
}

func mac(key []byte, id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id))
	h.Write([]byte{'.'})
	h.Write([]byte(timestamp))
	h.Write([]byte{'.'})
	h.Write(body)
	return h.Sum(nil)
}

// verify checks the signature of the raw body. Any of the space-separated
// signatures may match, so that secrets can be rotated.
func verify(key []byte, h http.Header, body []byte, now time.Time) error {
	id, timestamp := h.Get(headerID), h.Get(headerTimestamp)
	if id == "" || timestamp == "" || h.Get(headerSignature) == "" {
		return errors.New("the headers webhook-id, webhook-timestamp and webhook-signature are required")
	}
	secs, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return errors.New("webhook-timestamp is not in Unix seconds")
	}
	// Compared as seconds: the difference of absurd times overflows a Duration.
	if d := now.Unix() - secs; secs <= 0 || d > int64(tolerance.Seconds()) || -d > int64(tolerance.Seconds()) {
		return errors.New("webhook-timestamp is more than 5 minutes away from now")
	}
	want := mac(key, id, timestamp, body)
	signatures := strings.Fields(h.Get(headerSignature))
	for i, s := range signatures {
		if i == maxSignatures {
			break
		}
		encoded, ok := strings.CutPrefix(s, "v1,")
		if !ok {
			continue
		}
		got, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil && subtle.ConstantTimeCompare(got, want) == 1 {
			return nil
		}
	}
	return errors.New("no signature matches the body")
}

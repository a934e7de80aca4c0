package customtest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// NewSecret makes a fresh "whsec_…" secret.
func NewSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// Sign returns the webhook-signature of a body under a "whsec_…" secret.
func Sign(secret, id string, at time.Time, body []byte) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic("customtest: the secret is not whsec_ and base64")
	}
	h := hmac.New(sha256.New, key)
	h.Write(fmt.Appendf(nil, "%s.%d.%s", id, at.Unix(), body))
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Header returns the three signed headers of a body.
func Header(secret, id string, at time.Time, body []byte) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", Sign(secret, id, at, body))
	return h
}

// Client sends events to /webhook/custom/{instanceId}.
type Client struct {
	URL    string // the whole webhook URL
	Secret string
	HTTP   *http.Client // nil: http.DefaultClient
}

// Answer is what the hub answered.
type Answer struct {
	Status    int
	MessageID string // of a 202
	Duplicate bool   // of a 202
	Body      []byte
}

// Text is the event of a person who writes a text in a direct chat.
func Text(id, chat, sender, text string) map[string]any {
	return map[string]any{
		"id": id, "kind": "message", "timestamp": time.Now().UTC().Format(time.RFC3339),
		"chat":    map[string]any{"id": chat, "type": "dm"},
		"sender":  map[string]any{"id": sender, "name": sender},
		"content": map[string]any{"type": "text", "text": text},
	}
}

// SendText sends one text event. The answer must be a 202.
func (c *Client) SendText(ctx context.Context, id, chat, sender, text string) (Answer, error) {
	a, err := c.Send(ctx, id, Text(id, chat, sender, text))
	if err == nil && a.Status != http.StatusAccepted {
		err = fmt.Errorf("sending event %s: answered %d: %s", id, a.Status, a.Body)
	}
	return a, err
}

// Send signs and sends an event of any shape.
func (c *Client) Send(ctx context.Context, webhookID string, event any) (Answer, error) {
	body, err := json.Marshal(event)
	if err != nil {
		return Answer{}, fmt.Errorf("encoding event: %w", err)
	}
	return c.Post(ctx, Header(c.Secret, webhookID, time.Now(), body), body)
}

// Post sends raw bytes under the given headers.
func (c *Client) Post(ctx context.Context, h http.Header, body []byte) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("making request: %w", err)
	}
	req.Header = h
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("sending event: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := Answer{Status: resp.StatusCode}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		return a, fmt.Errorf("reading answer: %w", err)
	}
	var parsed struct {
		Data struct {
			ID        string `json:"id"`
			Duplicate bool   `json:"duplicate"`
		} `json:"data"`
	}
	if json.Unmarshal(a.Body, &parsed) == nil {
		a.MessageID, a.Duplicate = parsed.Data.ID, parsed.Data.Duplicate
	}
	return a, nil
}

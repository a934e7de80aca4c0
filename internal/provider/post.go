package provider

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// headerIdempotency carries the turn's id: a call that is repeated is the same
// call to a service that looks.
const headerIdempotency = "Idempotency-Key"

// plainCall is a call of a service that has no client library.
type plainCall struct {
	method  string // "": POST
	url     string
	header  http.Header
	body    []byte
	turn    uuid.UUID
	secrets []string // not to be found in any error
}

// newRequest makes the request. What is wrong with a URL is said without it:
// its query may hold a key.
func (c *plainCall) newRequest(ctx context.Context) (*http.Request, error) {
	method := c.method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url, bytes.NewReader(c.body))
	if err != nil {
		if bad, ok := errors.AsType[*url.Error](err); ok {
			err = bad.Err
		}
		return nil, &omni.AgentError{Kind: omni.AgentBadRequest, Reason: "apiUrl cannot be called: " + err.Error()}
	}
	for name, values := range c.header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set(headerIdempotency, c.turn.String())
	return req, nil
}

// post makes the call and returns the whole answer.
func (x *exchange) post(ctx context.Context, client *http.Client, call plainCall) ([]byte, error) {
	res, err := x.open(ctx, client, call)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close() // read by then
	return x.body, nil
}

// open makes the call and returns what succeeded, with the body still to be
// read where the exchange is a stream.
func (x *exchange) open(ctx context.Context, client *http.Client, call plainCall) (*http.Response, error) {
	req, err := call.newRequest(ctx)
	if err != nil {
		return nil, err
	}
	res, err := x.client(client).Do(req) //nolint:bodyclose // the caller's
	if err != nil {
		return nil, x.failure(ctx, err, call.secrets...)
	}
	if x.status >= http.StatusMultipleChoices {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		return nil, x.failure(ctx, nil, call.secrets...)
	}
	return res, nil
}

// bearer are the headers of a call with a JSON body.
func bearer(key, contentType string) http.Header {
	h := http.Header{}
	h.Set("Content-Type", contentType)
	if key != "" {
		h.Set("Authorization", "Bearer "+key)
	}
	return h
}

const (
	typeJSON = "application/json"
	typeForm = "application/x-www-form-urlencoded"
)

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// apiClient speaks to a hub's HTTP API.
type apiClient struct {
	base string
	key  string
	http *http.Client
}

// envelope is a successful answer.
type envelope struct {
	Data json.RawMessage `json:"data"`
	Meta struct {
		NextCursor *string `json:"nextCursor"`
	} `json:"meta"`
}

// apiError is a refusal of the hub, in one line.
type apiError struct {
	status int
	code   string
	detail string
	fields []string
}

func (e *apiError) Error() string {
	s := fmt.Sprintf("%d %s: %s", e.status, e.code, e.detail)
	if len(e.fields) > 1 {
		s += " (" + strings.Join(e.fields, "; ") + ")"
	}
	return s
}

// noRedirects keeps the key with the hub that it was given for.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

const requestTimeout = 90 * time.Second // longer than the longest wait

// request makes one request. path begins with /; body is encoded unless it is
// raw JSON already; nil for none.
func (c *apiClient) request(ctx context.Context, method, path string, query url.Values, body any, header ...string) (*envelope, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.open(ctx, method, path, query, body, header...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", c.base, err)
	}
	env := &envelope{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return env, nil
	}
	if err := json.Unmarshal(raw, env); err != nil {
		return nil, fmt.Errorf("%s does not answer like an Omni hub", c.base)
	}
	if env.Data == nil {
		env.Data = raw // health has no envelope
	}
	return env, nil
}

// open makes a request and leaves the body of a successful answer to be read.
func (c *apiClient) open(ctx context.Context, method, path string, query url.Values, body any, header ...string) (*http.Response, error) {
	u := c.base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	var r io.Reader
	if body != nil {
		enc, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		r = bytes.NewReader(enc)
	}
	req, err := http.NewRequestWithContext(ctx, method, u, r)
	if err != nil {
		return nil, fmt.Errorf("--url %s is not a URL", c.base)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("X-Api-Key", c.key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < http.StatusBadRequest {
		return nil, fmt.Errorf("%s redirects to %q: give the hub's own address with --url", c.base, resp.Header.Get("Location"))
	}
	return nil, refusal(resp)
}

func (c *apiClient) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err // without the method and the address, which we say better
	}
	return fmt.Errorf("no hub answers at %s (start one with omni up, or give --url): %w", c.base, err)
}

// refusal reads a problem document, or whatever else came.
func refusal(resp *http.Response) error {
	const enough = 64 << 10
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, enough))
	var p struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
		Errors []struct {
			Field   string `json:"field"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	e := &apiError{status: resp.StatusCode, code: "error", detail: http.StatusText(resp.StatusCode)}
	if json.Unmarshal(raw, &p) == nil && p.Code != "" {
		e.code, e.detail = p.Code, p.Detail
		for _, f := range p.Errors {
			e.fields = append(e.fields, f.Field+": "+f.Message)
		}
	}
	return e
}

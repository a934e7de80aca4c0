package hubtest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// readyTimeout bounds one look at /readyz.
const readyTimeout = 3 * time.Second

// API is a hub's front door.
type API struct {
	URL string // of the hub, without a slash at the end
	Key string
}

// Get reads a public page; status 0 where nothing answers, and why.
func (a API) Get(path string) (status int, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	status, raw, err := a.do(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return 0, err.Error()
	}
	return status, string(raw)
}

// Ready reports whether the hub says that it is.
func (a API) Ready() bool {
	status, _ := a.Get("/readyz")
	return status == http.StatusOK
}

// Do makes a call with the key; body nil sends none.
func (a API) Do(ctx context.Context, method, path string, body any) (status int, raw []byte, err error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		r = bytes.NewReader(b)
	}
	return a.do(ctx, method, path, r, a.Key)
}

func (a API) do(ctx context.Context, method, path string, body io.Reader, key string) (status int, raw []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, a.URL+path, body)
	if err != nil {
		return 0, nil, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err = io.ReadAll(resp.Body)
	return resp.StatusCode, raw, err
}

// Call makes a call that must work, and decodes "data" of its answer into out.
func (a API) Call(t testing.TB, method, path string, body, out any) {
	t.Helper()
	status, raw, err := a.Do(t.Context(), method, path, body)
	require.NoError(t, err)
	require.Less(t, status, 300, "%s %s: %s", method, path, raw)
	Data(t, raw, out)
}

// Data decodes "data" of an answer into out.
func Data(t testing.TB, raw []byte, out any) {
	t.Helper()
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	require.NoError(t, json.Unmarshal(raw, &envelope), string(raw))
	require.NoError(t, json.Unmarshal(envelope.Data, out), string(raw))
}

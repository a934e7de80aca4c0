package channels_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
)

type named struct {
	channels.Channel
	name string
}

func (n named) Info() channels.Info { return channels.Info{Type: n.name} }

func TestRegistry(t *testing.T) {
	t.Parallel()
	// The registry lives as long as the process, and tests may run twice in it.
	ant, zebra := "ant-"+rand.Text(), "zebra-"+rand.Text()
	channels.Register(named{name: zebra})
	channels.Register(named{name: ant})
	require.Panics(t, func() { channels.Register(named{name: ant}) })
	require.Panics(t, func() { channels.Register(named{}) })
	c, ok := channels.Lookup(ant)
	require.True(t, ok)
	require.Equal(t, ant, c.Info().Type)
	_, ok = channels.Lookup("none")
	require.False(t, ok)
	var names []string
	for _, c := range channels.All() {
		names = append(names, c.Info().Type)
	}
	require.IsIncreasing(t, names)
	require.Subset(t, names, []string{ant, zebra})
}

func TestErrorsKeepTheirFormOnTheWire(t *testing.T) {
	t.Parallel()
	want := &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, RetryAfter: 1500 * time.Millisecond, Reason: "later"}
	raw, err := json.Marshal(channels.Reply{Error: channels.NewReplyError(want)})
	require.NoError(t, err)
	require.JSONEq(t, `{"error":{"kind":"rate_limited","certain":true,"retryAfterMs":1500,"reason":"later"}}`, string(raw))
	var reply channels.Reply
	require.NoError(t, json.Unmarshal(raw, &reply))
	require.Equal(t, want, reply.Error.AsSendError())
	require.Equal(t, "svc.channel.custom.i1.send", channels.Subject("custom", "i1", channels.OpSend))
}

func TestCheckFetchable(t *testing.T) {
	t.Parallel()
	plain := channels.Config{}
	for _, u := range []string{"file:///etc/passwd", "ftp://example.com/", "http://", "/relative", "", "http://%zz", "https:example.com", "javascript:alert(1)"} {
		require.Error(t, plain.CheckFetchable(u), u)
	}
	require.NoError(t, plain.CheckFetchable("https://example.com/x"))
	checked := channels.Config{CheckURL: func(string) error { return errors.New("inside") }}
	require.EqualError(t, checked.CheckFetchable("http://10.0.0.1/"), "inside")
	require.NotContains(t, plain.CheckFetchable("http://user:hunter2@%zz/").Error(), "hunter2")
}

// post makes one watched request with an io.Reader body, as multipart clients do.
func post(ctx context.Context, t *testing.T, url string) (*channels.Wire, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, wire := channels.WatchWire(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.MultiReader(strings.NewReader("body")))
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err == nil {
		require.NoError(t, resp.Body.Close())
	}
	return wire, err
}

func TestWireKnowsWhatHasLeft(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(srv.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := "http://" + l.Addr().String()
	require.NoError(t, l.Close())

	wire, err := post(t.Context(), t, srv.URL)
	require.Error(t, err)
	require.True(t, wire.Written())
	require.Equal(t, &channels.SendError{Kind: channels.ErrTransient, Reason: "r"}, wire.SendError(err, true, "r"))
	require.Equal(t, &channels.SendError{Kind: channels.ErrUnknown, Reason: "r"}, wire.SendError(err, false, "r"))

	for _, idempotent := range []bool{true, false} {
		wire, err = post(t.Context(), t, nobody)
		require.Error(t, err)
		require.Equal(t, &channels.SendError{Kind: channels.ErrTransient, Certain: true, Reason: "r"}, wire.SendError(err, idempotent, "r"))
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	wire, err = post(cancelled, t, srv.URL)
	require.Error(t, err)
	require.True(t, wire.SendError(err, false, "r").Certain, "a context that was over before it began")
}

func TestRetryable(t *testing.T) {
	t.Parallel()
	for kind, want := range map[channels.ErrorKind]bool{channels.ErrRateLimited: true, channels.ErrTransient: true, channels.ErrNotConnected: true,
		channels.ErrUnknown: false, channels.ErrRejected: false, channels.ErrBadCredentials: false} {
		require.Equal(t, want, kind.Retryable(), kind)
	}
}

package telegram

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/telegram/telegramtest"
)

// A handle becomes an address, which serves the bytes.
func TestLocateFile(t *testing.T) {
	t.Parallel()
	p, s, _ := begin(t)
	locator, ok := s.(channels.FileLocator)
	require.True(t, ok)
	ref := p.AddFile("Grüße 100%.ogg", "audio/ogg", []byte("a voice"))
	place, err := locator.LocateFile(t.Context(), ref)
	require.NoError(t, err)
	require.EqualValues(t, 7, place.Size)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, place.URL, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "200 a voice", fmt.Sprint(resp.StatusCode, " ", string(body)))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, place), p.Token(), "nobody prints the token by accident")
	}
}

// What cannot be had says so, without the token.
func TestLocateFileRefuses(t *testing.T) {
	t.Parallel()
	p, s, _ := begin(t)
	locator, ok := s.(channels.FileLocator)
	require.True(t, ok)
	small := p.AddFile("a.txt", "text/plain", []byte("x"))
	huge := p.AddFile("film.mp4", "video/mp4", make([]byte, 20<<20+1))
	for _, tt := range []struct {
		ref     string
		fault   telegramtest.Fault
		kind    channels.ErrorKind
		certain bool
		reason  string
	}{
		{ref: huge, kind: channels.ErrTooLarge, certain: true, reason: "20 MB"},
		{ref: "AgADunknown", kind: channels.ErrNotFound, certain: true, reason: "does not have"},
		{ref: small, fault: telegramtest.Fault{Status: 400, Description: "Bad Request: wrong file_id or the file is temporarily unavailable"},
			kind: channels.ErrTransient, certain: true, reason: "just now"},
		{ref: small, fault: telegramtest.Fault{Status: 429, RetryAfter: 3}, kind: channels.ErrRateLimited, certain: true},
		{ref: small, fault: telegramtest.Fault{Status: 401}, kind: channels.ErrBadCredentials, certain: true},
		{ref: small, fault: telegramtest.Fault{Drop: true}, kind: channels.ErrUnknown},
	} {
		if tt.fault != (telegramtest.Fault{}) {
			p.Server.Fault("getFile", tt.fault)
		}
		place, err := locator.LocateFile(t.Context(), tt.ref)
		var refused *channels.SendError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, tt.kind, refused.Kind, refused.Reason)
		require.Equal(t, tt.certain, refused.Certain)
		require.Contains(t, refused.Reason, tt.reason)
		require.NotContains(t, err.Error(), p.Token())
		require.Zero(t, place)
	}
}

// A path from outside stays below the bot's own address.
func TestFileURL(t *testing.T) {
	t.Parallel()
	a := &api{base: "https://api.test/prefix", token: "1:AA"}
	got, ok := a.fileURL("voice/file 1?.oga")
	require.True(t, ok)
	require.Equal(t, "https://api.test/prefix/file/bot1:AA/voice/file%201%3F.oga", got)
	for _, path := range []string{"", "/var/lib/telegram/file", "../../bot1:AA/getMe", "a//b", "a/./b"} {
		_, ok := a.fileURL(path)
		require.False(t, ok, path)
	}
}

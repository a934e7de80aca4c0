package telegramtest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type answer struct {
	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result"`
	ErrorCode   int             `json:"error_code"`
	Description string          `json:"description"`
}

func call(t *testing.T, srv *Server, method, body string) answer {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(srv.URL()+"/bot"+srv.Token()+"/"+method, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var a answer
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&a))
	return a
}

func ids(t *testing.T, a answer) []int64 {
	t.Helper()
	require.True(t, a.OK, a.Description)
	var list []struct {
		ID int64 `json:"update_id"`
	}
	require.NoError(t, json.Unmarshal(a.Result, &list))
	var out []int64
	for _, u := range list {
		out = append(out, u.ID)
	}
	return out
}

var ana = User{ID: 5, FirstName: "Ana"}

func TestOffsets(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	for range 3 {
		srv.Say(ana, "x")
	}
	require.Equal(t, []int64{1000, 1001, 1002}, ids(t, call(t, srv, "getUpdates", `{}`)))
	require.Equal(t, []int64{1000, 1001}, ids(t, call(t, srv, "getUpdates", `{"limit":2}`)), "unconfirmed updates come again")
	require.False(t, srv.Confirmed(1000))
	require.Equal(t, []int64{1002}, ids(t, call(t, srv, "GetUpdates", `{"offset":1002}`)))
	require.True(t, srv.Confirmed(1001))
	srv.Redeliver(1000)
	require.Equal(t, []int64{1000, 1002}, ids(t, call(t, srv, "getUpdates", `{"offset":1002}`)))
	srv.Say(ana, "y")
	require.Equal(t, []int64{1003}, ids(t, call(t, srv, "getUpdates", `{"offset":-1}`)))
	require.Empty(t, ids(t, call(t, srv, "getUpdates", `{"offset":1004}`)))
}

func TestLongPollAndConflict(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	first := make(chan answer, 1)
	go func() { first <- call(t, srv, "getUpdates", `{"timeout":60}`) }()
	require.Eventually(t, func() bool { srv.mu.Lock(); defer srv.mu.Unlock(); return srv.pollers == 1 }, 10*time.Second, time.Millisecond)
	second := make(chan answer, 1)
	go func() { second <- call(t, srv, "getUpdates", `{"timeout":60}`) }()
	require.Equal(t, 409, (<-first).ErrorCode, "the newer poll wins")
	srv.Say(ana, "x")
	require.Equal(t, []int64{1000}, ids(t, <-second))
}

func TestReactionsAreForThoseWhoAsk(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	reaction := func() map[string]any {
		return map[string]any{"chat": map[string]any{"id": int64(5)}, "message_id": 1}
	}
	id, _ := srv.Push("message_reaction", reaction())
	require.Zero(t, id)
	call(t, srv, "getUpdates", `{"allowed_updates":["message_reaction"]}`)
	id, _ = srv.Push("message_reaction", reaction())
	require.Equal(t, []int64{id}, ids(t, call(t, srv, "getUpdates", `{}`)))
	unasked, _ := srv.Say(ana, "x")
	require.Zero(t, unasked)
}

func TestUnknownThingsAreViolations(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	require.Equal(t, 404, call(t, srv, "sendTelegram", `{}`).ErrorCode)
	require.Equal(t, 400, call(t, srv, "sendMessage", `{`).ErrorCode)
	require.Len(t, srv.Violations(), 2)
}

func TestParseHTML(t *testing.T) {
	t.Parallel()
	text, entities, err := ParseHTML(`😀<b>bold <i>both</i></b> <a href="https://a.example/?x=1&amp;y">l</a><pre><code class="language-go">x &lt; y</code></pre> a & b &nbsp; &#65;&#x42;`)
	require.NoError(t, err)
	require.Equal(t, "😀bold both lx < y a & b &nbsp; AB", text)
	require.Equal(t, Entity{Type: "italic", Offset: 7, Length: 4}, entities[0])
	require.Equal(t, Entity{Type: "bold", Offset: 2, Length: 9}, entities[1])
	require.Equal(t, "text_link", entities[2].Type)
	require.Equal(t, "go", entities[3].Language)
	for _, bad := range []string{"<b>x", "x</b>", "<b><i>x</b></i>", "<h1>x</h1>", "a < b", "<span>x</span>", "<br>", "<b", "</", "<>"} {
		_, _, err := ParseHTML(bad)
		require.Error(t, err, bad)
	}
}

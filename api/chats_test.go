package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

func TestTakeoverAndResume(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	msg, err := h.store.Message(t.Context(), omni.DefaultTenant, h.received(in, "c1", "m1", "hello"))
	require.NoError(t, err)
	path := "/api/v1/chats/" + msg.ChatID.String()
	post := func(verb string, body any) omni.Chat {
		a := h.admin(http.MethodPost, path+verb, body)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		var c omni.Chat
		a.data(t, &c)
		return c
	}
	c := post("/takeover", nil)
	require.True(t, c.Paused)
	require.Nil(t, c.PausedUntil, "until resumed")
	c = post("/takeover", `{"untilSeconds":60}`)
	require.WithinDuration(t, time.Now().Add(time.Minute), *c.PausedUntil, 5*time.Second)
	var list []omni.Chat
	h.admin(http.MethodGet, "/api/v1/chats?paused=true", nil).data(t, &list)
	require.Len(t, list, 1)
	c = post("/resume", nil)
	require.False(t, c.Paused)
	h.admin(http.MethodGet, "/api/v1/chats?paused=true", nil).data(t, &list)
	require.Empty(t, list)
	require.Equal(t, 422, h.admin(http.MethodPost, path+"/takeover", `{"untilSeconds":-1}`).status)
	c = post("/reset", nil)
	require.Equal(t, 1, c.SessionEpoch)
	require.Equal(t, 2, post("/reset", `{}`).SessionEpoch)
	var events []struct{ Data struct{ By string } }
	h.admin(http.MethodGet, "/api/v1/events?type=chat.reset", nil).data(t, &events)
	require.Len(t, events, 2)
	require.Equal(t, "api", events[0].Data.By)
	require.Equal(t, 404, h.admin(http.MethodPost, "/api/v1/chats/"+unknownUUID+"/reset", nil).status)
}

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// webVisitor is somebody who has the chat page of an instance open.
type webVisitor struct {
	*websocket.Conn
	t *testing.T
}

func (h *hub) visit(instance, token string) *webVisitor {
	h.t.Helper()
	ws, resp, err := websocket.Dial(h.t.Context(), strings.Replace(h.url("/chat/"+instance+"/ws"), "http:", "ws:", 1), nil)
	require.NoError(h.t, err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	v := &webVisitor{Conn: ws, t: h.t}
	v.write(object{"type": "hello", "visitor": token})
	return v
}

func (v *webVisitor) write(frame object) {
	v.t.Helper()
	raw, err := json.Marshal(frame)
	require.NoError(v.t, err)
	require.NoError(v.t, v.Write(v.t.Context(), websocket.MessageText, raw))
}

// somebody is a person as the API tells of them.
type somebody struct {
	ID          string
	DisplayName string
	Identities  []struct{ ID, InstanceID, Channel, PlatformUserID string }
}

// whois waits until a search finds exactly one person.
func (h *hub) whois(q string) (p somebody) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		var found []somebody
		h.call(http.MethodGet, "/api/v1/persons?q="+q, nil, &found)
		if len(found) == 1 {
			p = found[0]
		}
		return len(found) == 1
	}, answeredWithin, 50*time.Millisecond, "one person is found by %q", q)
	return p
}

// One person writes on three channels, is made one, and is found, told of, seen
// and written to as one.
func TestOnePersonOnThreeChannels(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	l := h.newLine(object{"agent": nil})
	bot := h.newBot("555555555:AAPeoplePeoplePeoplePeoplePeoplePe5", nil, nil)
	var site struct{ ID string }
	h.call(http.MethodPost, "/api/v1/instances", object{"name": "site", "channel": "webchat"}, &site)
	require.Eventually(t, func() bool { status, _ := h.get("/chat/" + site.ID); return status == http.StatusOK }, 20*time.Second, 20*time.Millisecond)

	_, err := l.Send(t.Context(), "w-"+time.Now().Format(time.RFC3339Nano), object{"id": "1", "kind": "message", "chat": object{"id": "c1", "type": "dm"},
		"sender": object{"id": "u1", "name": "Inês Araújo", "phone": "+5511987654321"}, "content": object{"type": "text", "text": "from custom"}})
	require.NoError(t, err)
	ines := h.whois("ines")
	page := h.visit(site.ID, "people-people-people-people-people-12")
	page.write(object{"type": "message", "id": "message-0001", "text": "from the site"})
	onSite := h.whois("Visitor")
	bot.Say(person(7007, "Nesa"), "from telegram")
	onTelegram := h.whois("Nesa")
	for _, other := range []somebody{onSite, onTelegram} {
		h.call(http.MethodPost, "/api/v1/persons/merge", object{"sourcePersonId": other.ID, "targetPersonId": ines.ID, "reason": "she says so"}, nil)
	}

	h.share(t, "search", func(t *testing.T) {
		for _, q := range []string{"INES%20araujo", "11%2098765-4321", "nesa", "7007"} {
			require.Equal(t, ines.ID, h.whois(q).ID, q)
		}
	})
	h.share(t, "one timeline", func(t *testing.T) {
		for _, id := range []string{ines.ID, onSite.ID, onTelegram.ID} {
			require.Eventually(t, func() bool {
				var told []struct{ Direction, Channel string }
				h.call(http.MethodGet, "/api/v1/persons/"+id+"/timeline?direction=inbound", nil, &told)
				return len(told) == 3 && told[0].Channel == "telegram" && told[1].Channel == "webchat" && told[2].Channel == "custom"
			}, answeredWithin, 50*time.Millisecond)
		}
	})
	h.share(t, "a message goes to the account used last", func(t *testing.T) {
		var out struct{ ID, InstanceID, To, Status string }
		say := object{"personId": onSite.ID, "content": object{"type": "text", "text": "hello"}}
		h.call(http.MethodPost, "/api/v1/messages?wait=10", say, &out)
		require.Equal(t, bot.id, out.InstanceID)
		require.Equal(t, "7007", out.To)
		require.Equal(t, "sent", out.Status)
		_, err := l.SendText(t.Context(), "3", "c1", "u1", "again")
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			h.call(http.MethodPost, "/api/v1/messages?wait=10", say, &out)
			return out.InstanceID == l.id
		}, answeredWithin, 100*time.Millisecond)
		require.Equal(t, "c1", out.To)
		require.Contains(t, l.out.Texts("c1"), "hello")
	})
	h.share(t, "presence", func(t *testing.T) { h.watches(t, page, ines.ID, site.ID, l) })
}

// watches sees a person come, type and go.
func (h *hub) watches(t *testing.T, page *webVisitor, person, site string, l *line) {
	type presence struct {
		Status     string
		Typing     bool
		LastSeenAt time.Time
		Identities []struct {
			Channel, Status string
			Typing          bool
		}
	}
	becomes := func(what string, ok func(p presence) bool) {
		t.Helper()
		var p presence
		require.Eventually(t, func() bool {
			h.call(http.MethodGet, "/api/v1/persons/"+person+"/presence", nil, &p)
			return ok(p)
		}, answeredWithin, 50*time.Millisecond, "%s: %+v", what, p)
	}
	on := func(p presence, channel string) string {
		for _, i := range p.Identities {
			if i.Channel == channel {
				return i.Status
			}
		}
		return ""
	}
	becomes("here", func(p presence) bool {
		return p.Status == "online" && on(p, "webchat") == "online" && on(p, "telegram") == "unknown" && on(p, "custom") == "unknown"
	})
	require.NoError(t, page.CloseNow())
	left := time.Now()
	becomes("gone", func(p presence) bool {
		return p.Status == "unknown" && on(p, "webchat") == "offline" && p.LastSeenAt.After(left.Add(-5*time.Second))
	})
	_, err := l.Send(t.Context(), "w-"+time.Now().Format(time.RFC3339Nano), object{"id": "t1", "kind": "typing", "chat": object{"id": "c1"}, "sender": object{"id": "u1"}})
	require.NoError(t, err)
	becomes("typing", func(p presence) bool { return p.Typing && p.Status == "online" && on(p, "custom") == "online" })
	back := h.visit(site, "people-people-people-people-people-12")
	becomes("back", func(p presence) bool { return on(p, "webchat") == "online" })
	require.NoError(t, back.CloseNow())
}

package e2e

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/testkit"
)

// tenantOf makes a tenant with its first key.
func (h *hub) tenantOf(name string) *hub {
	h.t.Helper()
	var k struct{ Key string }
	h.call(http.MethodPost, "/api/v1/keys", object{"name": "first", "scopes": []string{"admin"}, "tenant": name}, &k)
	return h.as(k.Key)
}

// wire is everything of the log that a NATS server carries.
type wire struct {
	mu  sync.Mutex
	all []*nats.Msg
}

func listen(t *testing.T, address string) *wire {
	t.Helper()
	conn, err := nats.Connect(address)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	w := &wire{}
	for _, subjects := range []string{"message.>", "identity.>", "access.>", "agent.>", "turn.>", "channel.>", "chat.>"} {
		_, err := conn.Subscribe(subjects, func(m *nats.Msg) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.all = append(w.all, m)
		})
		require.NoError(t, err)
	}
	require.NoError(t, conn.Flush())
	return w
}

// of returns the messages whose subject names a tenant.
func (w *wire) of(tenant string) (subjects, bodies []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.all {
		if slices.Contains(strings.Split(m.Subject, "."), tenant) {
			subjects, bodies = append(subjects, m.Subject), append(bodies, string(m.Data))
		}
	}
	return subjects, bodies
}

// Two tenants share a hub, and the same person of the same platform, with the
// same verified phone number, writes to both: nothing of the one is ever the
// other's.
func TestTwoTenantsShareAHub(t *testing.T) {
	t.Parallel()
	port := testkit.FreePort(t)
	h := newHub(t, "OMNI_NATS_PORT="+strconv.Itoa(port))
	log := listen(t, "nats://127.0.0.1:"+strconv.Itoa(port))
	names := []string{"acme", "evil"}
	words := map[string]string{"acme": "zebra-of-acme", "evil": "walrus-of-evil"}
	type side struct {
		hub                   *hub
		line                  *line
		message, person, chat string
		socket, sse           *follower
	}
	sides := map[string]*side{}
	for _, name := range names {
		s := &side{hub: h.tenantOf(name)}
		s.line = s.hub.newLine(object{"access": object{"mode": "blocklist"}})
		s.socket, s.sse = follow(t, "0", s.hub.webSocket("")), follow(t, "0", s.hub.sse(""))
		sides[name] = s
	}
	evils := sides["evil"].hub.rule(object{"type": "deny", "match": object{"phone": "+5511*"}, "reason": words["evil"]})
	wants := map[string]string{"acme": "answered", "evil": "denied"}
	for _, name := range names {
		s := sides[name]
		s.message = s.line.from("m1", "anastasia", words[name], object{"phone": "+5511987654321", "username": "anastasia"})
		require.Equal(t, wants[name], s.line.settled(20*time.Second, s.message)[s.message], "a rule for every instance is for every instance of its tenant")
		var m struct{ PersonID, ChatID string }
		s.hub.call(http.MethodGet, "/api/v1/messages/"+s.message, nil, &m)
		s.person, s.chat = m.PersonID, m.ChatID
	}
	require.NotEqual(t, sides["acme"].person, sides["evil"].person, "the same number links nobody across tenants")
	require.NotEqual(t, sides["acme"].chat, sides["evil"].chat)
	for i, name := range names {
		mine, other := sides[name], sides[names[1-i]]
		foreign := []string{words[names[1-i]], other.message, other.person, other.chat, other.line.id, evils}
		if name == "evil" {
			foreign = foreign[:5]
		}
		for _, path := range []string{"/messages", "/chats", "/persons", "/persons?q=ana", "/persons?q=%2B5511987654321", "/events", "/instances", "/access/rules",
			"/merges", "/persons/suggestions", "/persons/" + mine.person + "/timeline", "/persons/" + mine.person + "/identities"} {
			status, raw, err := mine.hub.try(http.MethodGet, "/api/v1"+path, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status, path)
			for _, word := range foreign {
				require.NotContains(t, string(raw), word, "%s of %s", path, name)
			}
		}
		for _, path := range []string{"/messages/" + other.message, "/messages/" + other.message + "/trace", "/chats/" + other.chat, "/persons/" + other.person,
			"/persons/" + other.person + "/timeline", "/instances/" + other.line.id} {
			status, _, err := mine.hub.try(http.MethodGet, "/api/v1"+path, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusNotFound, status, path)
		}
		status, _, err := mine.hub.try(http.MethodPost, "/api/v1/persons/merge", object{"sourcePersonId": other.person, "targetPersonId": mine.person})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, status)
		// Live, both ways, and on NATS: all of one's own, and nothing else.
		want := mine.hub.eventLog("")
		require.NotEmpty(t, want)
		for how, f := range map[string]*follower{"WebSocket": mine.socket, "SSE": mine.sse} {
			require.Eventually(t, func() bool { return len(f.seen()) >= len(want) }, 20*time.Second, 50*time.Millisecond, how)
			require.Equal(t, want, f.seen()[:len(want)], "%s of %s", how, name) // some more may have happened since
		}
		var subjects, bodies []string
		require.Eventually(t, func() bool {
			subjects, bodies = log.of(name)
			return slices.ContainsFunc(subjects, func(s string) bool { return s == "access.checked."+name+".custom."+mine.line.id })
		}, 10*time.Second, 20*time.Millisecond, "%v", subjects)
		for n, body := range bodies {
			for _, word := range foreign {
				require.NotContains(t, subjects[n]+" "+body, word)
			}
		}
	}
	measuresNobody(t, h, append([]string{"acme", "evil", "anastasia", "5511987654321", evils}, words["acme"], words["evil"],
		sides["acme"].person, sides["evil"].person, sides["acme"].chat, sides["acme"].message, sides["acme"].line.id, sides["acme"].hub.key, apiKey))
}

// measuresNobody reads /metrics, which needs no key: it counts what was decided
// and names nobody about whom.
func measuresNobody(t *testing.T, h *hub, private []string) {
	t.Helper()
	status, metrics := h.get("/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Regexp(t, `omni_access_decisions_total\{by="mode",channel="custom",decision="allow"[^}]*\} [1-9]`, metrics)
	require.Regexp(t, `omni_access_decisions_total\{by="rule",channel="custom",decision="deny"[^}]*\} [1-9]`, metrics)
	for _, word := range private {
		require.NotContains(t, metrics, word)
	}
}

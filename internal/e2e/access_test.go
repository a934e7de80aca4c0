package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
)

// Who may talk to an instance, over a real hub: what is denied has its outcome
// and its reason wherever it is looked for, and the sender hears what they must
// and no more.
func TestAccess(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.share(t, "modes", func(t *testing.T) { decidesByMode(t, h) })
	h.share(t, "phone patterns", func(t *testing.T) { decidesByPhone(t, h) })
	h.share(t, "notices", func(t *testing.T) { tellsOnce(t, h) })
	h.share(t, "changes", func(t *testing.T) { changesAtTheNextMessage(t, h) })
	h.share(t, "schedules", func(t *testing.T) { followsSchedules(t, h) })
	h.share(t, "pairing", func(t *testing.T) { pairs(t, h) })
	h.share(t, "rate limits", func(t *testing.T) { limitsAcrossARestart(t, h) })
}

// access is what a message says of its decision.
type access struct {
	Decision, RuleID, Reason string
}

func (h *hub) access(id string) access {
	h.t.Helper()
	var m struct{ Access access }
	h.call(http.MethodGet, "/api/v1/messages/"+id, nil, &m)
	return m.Access
}

// rule makes a rule and returns its id.
func (h *hub) rule(body object) string {
	h.t.Helper()
	var r struct{ ID string }
	require.Equal(h.t, http.StatusCreated, h.call(http.MethodPost, "/api/v1/access/rules", body, &r))
	return r.ID
}

func (h *hub) guarded(mode string) *line {
	h.t.Helper()
	return h.newLine(object{"access": object{"mode": mode}})
}

// ends says a text and waits for the outcome of the message.
func (l *line) ends(id, chat, want string) string {
	l.hub.t.Helper()
	message := l.say(id, chat, "text of "+id)
	require.Equal(l.hub.t, want, l.settled(20*time.Second, message)[message], id)
	return message
}

func decidesByMode(t *testing.T, h *hub) {
	for _, c := range []struct{ mode, nobody, allowed, denied string }{
		{"disabled", "answered", "answered", "answered"},
		{"blocklist", "answered", "answered", "denied"},
		{"allowlist", "denied", "answered", "denied"},
	} {
		l := h.guarded(c.mode)
		allow := h.rule(object{"instanceId": l.id, "type": "allow", "match": object{"platformUserId": "u-friend"}})
		deny := h.rule(object{"instanceId": l.id, "type": "deny", "match": object{"platformUserId": "u-foe"}, "reason": "a foe"})
		l.ends("m1", "nobody", c.nobody)
		friend, foe := l.ends("m2", "friend", c.allowed), l.ends("m3", "foe", c.denied)
		if c.mode == "disabled" {
			require.Equal(t, access{Decision: "allow", Reason: "access control is disabled"}, h.access(foe), "rules are not evaluated")
			continue
		}
		require.Equal(t, access{"allow", allow, "a rule allows it"}, h.access(friend))
		require.Equal(t, access{"deny", deny, "a foe"}, h.access(foe))
		require.Empty(t, l.out.Texts("foe"))
		saysWhy(t, h, foe, deny)
	}
}

// saysWhy checks the log and the trace of a denied message.
func saysWhy(t *testing.T, h *hub, message, rule string) {
	t.Helper()
	var events []struct {
		Type string
		Data access
	}
	h.call(http.MethodGet, "/api/v1/events?type=access.checked&correlationId="+message, nil, &events)
	require.Len(t, events, 1)
	require.Equal(t, access{"deny", rule, "a foe"}, events[0].Data)
	var trace struct {
		Status string
		Steps  []struct {
			Name   string
			Detail access
		}
	}
	h.call(http.MethodGet, "/api/v1/messages/"+message+"/trace", nil, &trace)
	require.Equal(t, "denied", trace.Status)
	shown := false
	for _, s := range trace.Steps {
		require.NotContains(t, []string{"turn.Join", "agent.Reply", "deliver.Send"}, s.Name)
		if s.Name == "access.Check" {
			shown = true
			require.Equal(t, access{"deny", rule, "a foe"}, s.Detail)
		}
	}
	require.True(t, shown, "%+v", trace.Steps)
}

// byPhone says a text as somebody with a phone.
func (l *line) byPhone(id, phone string) string {
	l.hub.t.Helper()
	event := customtest.Text(id, "c-"+id, "u-"+id, "text of "+id)
	event["sender"] = object{"id": "u-" + id, "name": id, "phone": phone}
	a, err := l.Send(l.hub.t.Context(), id, event)
	require.NoError(l.hub.t, err)
	require.Equal(l.hub.t, http.StatusAccepted, a.Status, string(a.Body))
	return a.MessageID
}

func decidesByPhone(t *testing.T, h *hub) {
	l := h.guarded("allowlist")
	rule := h.rule(object{"instanceId": l.id, "type": "allow", "match": object{"phone": "+55 11 *"}})
	here, there, written := l.byPhone("here", "+5511987654321"), l.byPhone("there", "+5521987654321"), l.byPhone("written", "+55 (11) 91234-5678")
	statuses := l.settled(20*time.Second, here, there, written)
	require.Equal(t, map[string]string{here: "answered", there: "denied", written: "answered"}, statuses)
	require.Equal(t, rule, h.access(here).RuleID)
	require.Equal(t, access{Decision: "deny", Reason: "no rule allows"}, h.access(there))
}

func tellsOnce(t *testing.T, h *hub) {
	l := h.guarded("blocklist")
	h.rule(object{"instanceId": l.id, "type": "deny", "match": object{"platformUserId": "u-loud"}, "notice": "You are not welcome."})
	h.rule(object{"instanceId": l.id, "type": "silent", "match": object{"platformUserId": "u-quiet"}, "notice": "never said"})
	var denied []string
	for i := range 3 {
		denied = append(denied, l.say(fmt.Sprint("loud-", i), "loud", "hello"), l.say(fmt.Sprint("quiet-", i), "quiet", "hello"))
	}
	for id, status := range l.settled(20*time.Second, denied...) {
		require.Equal(t, "denied", status, id)
	}
	require.Equal(t, []string{"You are not welcome."}, l.hears(10*time.Second, "loud", 1))
	require.Equal(t, "silent", h.access(denied[1]).Decision)
	var turns []event
	h.call(http.MethodGet, "/api/v1/events?type=turn.*&instanceId="+l.id, nil, &turns)
	require.Empty(t, turns, "no agent is asked")
	// Behind another message nothing else is on its way.
	l.ends("other", "other", "answered")
	require.Empty(t, l.out.Texts("quiet"))
	require.Len(t, l.out.Texts("loud"), 1)
}

func changesAtTheNextMessage(t *testing.T, h *hub) {
	l := h.guarded("blocklist")
	l.ends("m0", "c1", "answered")
	for i := range 3 {
		rule := h.rule(object{"instanceId": l.id, "type": "deny", "match": object{"platformUserId": "u-c1"}})
		l.ends(fmt.Sprint("denied-", i), "c1", "denied")
		h.call(http.MethodPatch, "/api/v1/access/rules/"+rule, object{"match": object{"platformUserId": "u-x*"}}, nil)
		l.ends(fmt.Sprint("patched-", i), "c1", "answered")
		h.call(http.MethodPatch, "/api/v1/access/rules/"+rule, object{"match": object{"platformUserId": "u-*"}}, nil)
		l.ends(fmt.Sprint("again-", i), "c1", "denied")
		require.Equal(t, http.StatusNoContent, h.call(http.MethodDelete, "/api/v1/access/rules/"+rule, nil, nil))
		l.ends(fmt.Sprint("free-", i), "c1", "answered")
	}
}

func followsSchedules(t *testing.T, h *hub) {
	l := h.guarded("allowlist")
	rule := h.rule(object{"instanceId": l.id, "type": "allow", "match": object{"platformUserId": "u1"},
		"schedule": object{"timeZone": "Europe/Berlin", "days": []string{"fri"}, "from": "22:00", "to": "06:00"}})
	for at, want := range map[string]string{
		"2026-11-27T20:59:00Z": "deny", "2026-11-27T21:00:00Z": "allow", "2026-11-28T04:59:59Z": "allow", "2026-11-28T05:00:00Z": "deny",
		"2026-07-03T20:00:00Z": "allow", "2026-07-03T19:59:00Z": "deny", "2026-11-28T21:30:00Z": "deny",
	} {
		var c struct {
			Decision, RuleID string
			Considered       []struct {
				RuleID, Why string
				Matched     bool
			}
		}
		h.call(http.MethodPost, "/api/v1/access/check", object{"instanceId": l.id, "platformUserId": "u1", "at": at}, &c)
		require.Equal(t, want, c.Decision, at)
		require.Len(t, c.Considered, 1)
		require.Equal(t, rule, c.Considered[0].RuleID)
		require.Equal(t, want == "allow", c.Considered[0].Matched)
		if want == "deny" {
			require.Equal(t, "outside its schedule", c.Considered[0].Why)
		}
	}
	// A message is decided by the clock of the rule's own time zone: these two are
	// half a day apart, so that only in one of them it is about now.
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	require.NoError(t, err)
	now := time.Now().In(tokyo)
	for user, zone := range map[string]string{"u-tokyo": "Asia/Tokyo", "u-recife": "America/Recife"} {
		h.rule(object{"instanceId": l.id, "type": "allow", "match": object{"platformUserId": user},
			"schedule": object{"timeZone": zone, "from": now.Add(-3 * time.Hour).Format("15:04"), "to": now.Add(3 * time.Hour).Format("15:04")}})
	}
	l.ends("tokyo", "tokyo", "answered")
	l.ends("recife", "recife", "denied")
	h.rule(object{"instanceId": l.id, "type": "allow", "expiresAt": time.Now().Add(time.Second)})
	require.Eventually(t, func() bool { // a rule that is over lets nobody in
		id := l.say(uuid.NewString(), "c2", "hello")
		return l.settled(10*time.Second, id)[id] == "denied"
	}, 20*time.Second, 300*time.Millisecond)
}

var codePattern = regexp.MustCompile(`[2-9A-Z]{4}-[2-9A-Z]{4}`)

func pairs(t *testing.T, h *hub) {
	l := h.guarded("pairing")
	first := l.say("m1", "stranger", "hello")
	l.say("m2", "stranger", "is anybody there?")
	require.Equal(t, "denied", l.settled(20*time.Second, first)[first])
	told := l.hears(10*time.Second, "stranger", 1)
	code := codePattern.FindString(told[0])
	require.NotEmpty(t, code, told[0])
	require.Equal(t, "pair", h.access(first).Decision)
	var open []struct{ ID, Code, Status string }
	h.call(http.MethodGet, "/api/v1/access/pairings?status=open&instanceId="+l.id, nil, &open)
	require.Len(t, open, 1)
	require.Equal(t, code, open[0].Code)

	for i := range 4 {
		l.ends(fmt.Sprint("other-", i), fmt.Sprint("other", i), "denied")
	}
	h.call(http.MethodGet, "/api/v1/access/pairings?status=open&instanceId="+l.id, nil, &open)
	require.Len(t, open, 3, "three at most")
	// Another one is approved by API, under the code's own id.
	other := open[slices.IndexFunc(open, func(p struct{ ID, Code, Status string }) bool { return p.Code != code })]
	var approved struct{ Status, RuleID string }
	h.call(http.MethodPost, "/api/v1/access/pairings", object{"id": other.ID}, &approved)
	require.Equal(t, "approved", approved.Status)
	for i := range 4 {
		if chat := fmt.Sprint("other", i); slices.ContainsFunc(l.out.Texts(chat), func(s string) bool { return strings.Contains(s, other.Code) }) {
			require.Equal(t, approved.RuleID, h.access(l.ends("let in", chat, "answered")).RuleID)
		}
	}
	group := customtest.Text("g1", "group", "u-group", "hello @bot")
	group["chat"] = object{"id": "group", "type": "group"}
	group["mentions"] = []string{"bot"}
	a, err := l.Send(t.Context(), "g1", group)
	require.NoError(t, err)
	require.Equal(t, "denied", l.settled(20*time.Second, a.MessageID)[a.MessageID])

	cmd := exec.CommandContext(t.Context(), binary, "access", "approve", code, "--url", h.url(""), "--key", apiKey, "--json")
	cmd.Dir, cmd.Env = h.dir, os.Environ()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	paired := l.ends("m3", "stranger", "answered")
	require.Equal(t, "paired", h.access(paired).Reason)
	require.Equal(t, []string{told[0], "text of m3"}, l.hears(10*time.Second, "stranger", 2), "one code, however many messages")
	var events []struct{ Data struct{ RuleID string } }
	h.call(http.MethodGet, "/api/v1/events?type=access.paired&instanceId="+l.id, nil, &events)
	require.Len(t, events, 2)
	require.Equal(t, []string{h.access(paired).RuleID, approved.RuleID}, []string{events[0].Data.RuleID, events[1].Data.RuleID}, "newest first")
	require.Empty(t, l.out.Texts("group"))
	codes := 0
	for i := range 4 {
		for _, text := range l.out.Texts(fmt.Sprint("other", i)) {
			if codePattern.MatchString(text) {
				codes++
			}
		}
	}
	require.Equal(t, 2, codes)
}

func limitsAcrossARestart(t *testing.T, h *hub) {
	l := h.guarded("blocklist")
	rule := h.rule(object{"instanceId": l.id, "type": "allow", "rateLimit": object{"count": 3, "perSeconds": 3600}})
	l.ends("m1", "c1", "answered")
	l.ends("m2", "c1", "answered")
	h.kill()
	h.start()
	l.ends("m3", "c1", "answered")
	l.say("m3", "c1", "text of m3") // the platform says it again: no token more
	denied := l.ends("m4", "c1", "denied")
	require.Equal(t, access{"deny", rule, "rate limit: more than 3 in 3600 s"}, h.access(denied))
	l.ends("m5", "c2", "answered")
	require.Len(t, l.hears(10*time.Second, "c1", 3), 3)
}

// Two hubs share what a rule lets through, and what the one has been told of
// rules counts at once at the other.
func TestAccessIsSharedByTwoHubs(t *testing.T) {
	t.Parallel()
	env := startGround(t)
	a, b := prepareHub(t, env, "serve"), prepareHub(t, env, "serve")
	a.launch()
	b.launch()
	a.waitReady(60 * time.Second)
	b.waitReady(60 * time.Second)
	l := a.guarded("blocklist")
	rule := a.rule(object{"instanceId": l.id, "type": "allow", "rateLimit": object{"count": 4, "perSeconds": 3600}})
	end := func(id, chat string, at *hub, want string) string {
		sent, err := l.through(at).SendText(t.Context(), id, chat, "u-"+chat, "text of "+id)
		require.NoError(t, err)
		require.Equal(t, want, l.settled(20*time.Second, sent.MessageID)[sent.MessageID], id)
		return sent.MessageID
	}
	for i := range 4 {
		end(fmt.Sprint("m", i), "c1", []*hub{a, b}[i%2], "answered")
	}
	for i, at := range []*hub{a, b} {
		id := end(fmt.Sprint("over", i), "c1", at, "denied")
		require.Equal(t, access{"deny", rule, "rate limit: more than 4 in 3600 s"}, a.access(id))
	}
	for i, at := range []*hub{a, b, a, b} {
		deny := at.rule(object{"type": "deny", "match": object{"platformUserId": "u-c2"}, "priority": 1})
		end(fmt.Sprint("denied", i), "c2", []*hub{b, a}[i%2], "denied")
		require.Equal(t, http.StatusNoContent, at.call(http.MethodDelete, "/api/v1/access/rules/"+deny, nil, nil))
		end(fmt.Sprint("free", i), "c2", []*hub{b, a}[i%2], "answered")
	}
}

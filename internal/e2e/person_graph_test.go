package e2e

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
)

// from sends a text of somebody of whom the platform has verified something,
// and returns the message's id.
func (l *line) from(id, sender, text string, verified object) string {
	l.hub.t.Helper()
	e := customtest.Text(id, "dm-"+sender, sender, text)
	maps.Copy(e["sender"].(map[string]any), verified)
	a, err := l.Send(l.hub.t.Context(), id, e)
	require.NoError(l.hub.t, err)
	require.Equal(l.hub.t, http.StatusAccepted, a.Status, "%s", a.Body)
	return a.MessageID
}

// personOf waits until a message reads, and says whose it is.
func (h *hub) personOf(message string) (person string) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		var m struct{ PersonID string }
		if status, _, err := h.try(http.MethodGet, "/api/v1/messages/"+message, nil); err != nil || status != http.StatusOK {
			return false
		}
		h.call(http.MethodGet, "/api/v1/messages/"+message, nil, &m)
		person = m.PersonID
		return person != ""
	}, 10*time.Second, 20*time.Millisecond)
	return person
}

// idsOf lists what a person has.
func (h *hub) idsOf(what, person string) (ids []string) {
	h.t.Helper()
	var rows []struct{ ID string }
	h.call(http.MethodGet, "/api/v1/"+what+"personId="+person, nil, &rows)
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

type mergeOut struct{ ID, PersonID, SourcePersonID, Reason string }

// The whole way of one person with several accounts: by number at once, by
// evidence later, by somebody's word in the middle of an answer, and apart again.
func TestOnePersonManyAccounts(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	once := sync.OnceFunc(func() { close(release) })
	t.Cleanup(once)
	agent := newLLM(t, func(r *http.Request, _ []string) (int, string) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return http.StatusOK, "first part\n\nsecond part"
	})
	h := newHub(t)
	a, b := h.newLine(nil), h.newLine(nil)
	slow := h.newLine(object{"agent": agent.agent(object{"session": "user"})})

	phone := object{"phone": "+55 11 98765-4321"}
	m1 := a.from("a1", "ana", "hello", phone)
	m2 := b.from("b1", "99@lid", "hi", nil)
	ana, lone := h.personOf(m1), h.personOf(m2)
	require.NotEqual(t, ana, lone, "nothing says so yet")
	a.from("a2", "maria-1", "hello", object{"username": "maria"})
	b.from("b0", "maria-2", "hello", object{"username": "Maria"})
	m3 := b.from("b2", "99@lid", "it is me", object{"phone": "5511987654321"})
	require.Equal(t, ana, h.personOf(m3), "the same number on another instance")
	require.Equal(t, ana, h.personOf(m2), "with what she had said before")
	a.hears(10*time.Second, "dm-ana", 1)
	b.hears(10*time.Second, "dm-99@lid", 2)
	require.Subset(t, h.idsOf("messages?limit=100&", ana), []string{m1, m2, m3})
	require.Len(t, h.idsOf("events?type=message.received&", ana), 3)
	require.Len(t, h.idsOf("events?type=identity.linked&", ana), 1)
	var links []mergeOut
	h.call(http.MethodGet, "/api/v1/merges?personId="+ana, nil, &links)
	require.Len(t, links, 1)
	require.Equal(t, "same_phone", links[0].Reason)

	h.share(t, "while a turn is answered", func(t *testing.T) {
		m4 := slow.from("s1", "annie", "question", nil)
		<-agent.called
		annie := h.personOf(m4)
		var merged mergeOut
		h.call(http.MethodPost, "/api/v1/persons/merge", object{"sourcePersonId": annie, "targetPersonId": ana, "reason": "she says so"}, &merged)
		require.Equal(t, ana, merged.PersonID)
		once()
		require.Equal(t, []string{"first part", "second part"}, slow.hears(15*time.Second, "dm-annie", 2))
		require.Equal(t, "answered", slow.settled(10*time.Second, m4)[m4])
		require.Equal(t, ana, h.personOf(m4))
		slow.from("s2", "annie", "again", nil)
		slow.hears(15*time.Second, "dm-annie", 4)

		h.call(http.MethodPost, "/api/v1/merges/"+merged.ID+"/undo", nil, &merged)
		require.Equal(t, annie, merged.PersonID)
		require.Equal(t, annie, h.personOf(m4))
		require.Len(t, h.idsOf("messages?limit=100&", annie), 6, "two questions and four parts: all that is of her account")
		slow.from("s3", "annie", "once more", nil)
		slow.hears(15*time.Second, "dm-annie", 6)
	})

	h.share(t, "the janitor suggests", func(t *testing.T) {
		var found []struct {
			ID, Status string
			PersonIDs  []string
			Reasons    []struct{ Reason, Value string }
		}
		require.Eventually(t, func() bool {
			h.call(http.MethodGet, "/api/v1/persons/suggestions", nil, &found)
			return len(found) == 1
		}, 90*time.Second, 200*time.Millisecond)
		require.Equal(t, "same_username", found[0].Reasons[0].Reason)
		var merged mergeOut
		h.call(http.MethodPost, "/api/v1/persons/suggestions/"+found[0].ID+"/confirm", nil, &merged)
		require.Equal(t, found[0].PersonIDs[0], merged.PersonID)
		h.call(http.MethodGet, "/api/v1/persons/suggestions", nil, &found)
		require.Empty(t, found)
	})

	h.share(t, "apart again, over a kill", func(t *testing.T) {
		var undone mergeOut
		h.call(http.MethodPost, "/api/v1/merges/"+links[0].ID+"/undo", nil, &undone)
		h.kill()
		h.start()
		require.Equal(t, lone, h.personOf(m2))
		require.Equal(t, lone, h.personOf(m3))
		m5 := b.from("b3", "99@lid", "still me", object{"phone": "+5511987654321"})
		require.Equal(t, lone, h.personOf(m5), "somebody has told them apart")
		require.False(t, slices.Contains(h.idsOf("messages?limit=100&", ana), m5))
	})
}

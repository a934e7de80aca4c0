package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
)

// Poison is cleaned or refused at the edge and fails alone: the good messages
// before, between and after it are answered.
func TestPoisonAmongGoodMessages(t *testing.T) {
	h := newHub(t)
	l := h.newLine(nil)
	raw := func(id, text string) []byte {
		return []byte(`{"id":"` + id + `","kind":"message","timestamp":"2026-01-02T03:04:05Z","chat":{"id":"` + id +
			`","type":"dm"},"sender":{"id":"u1"},"content":{"type":"text","text":"` + text + `"}}`)
	}
	poison := map[string][]byte{
		"nul":        raw("p-nul", `a\u0000b`),
		"utf8":       raw("p-utf8", "caf\xe9 \xff\xfe"),
		"surrogate":  raw("p-surrogate", `half \ud83d of an emoji`),
		"10 MB":      raw("p-huge", strings.Repeat("x", 10<<20)),
		"year 9999":  []byte(strings.Replace(string(raw("p-9999", "late")), "2026-01-02", "9999-12-31", 1)),
		"year 0":     []byte(strings.Replace(string(raw("p-0", "early")), "2026-01-02", "0000-01-01", 1)),
		"nul in ids": []byte(`{"id":"p\u0000id","kind":"message","chat":{"id":"c\u0000x"},"sender":{"id":"u\u0000"},"content":{"type":"text","text":"x"}}`),
		"deep json":  []byte(strings.Repeat(`{"id":`, 20000)),
	}
	var ids []string
	n := 0
	good := func() {
		n++
		ids = append(ids, l.say(fmt.Sprint("g", n), fmt.Sprint("good", n), fmt.Sprint("good ", n)))
	}
	good()
	for name, body := range poison {
		a, err := l.Post(t.Context(), customtest.Header(l.Secret, "wh-"+name, time.Now(), body), body)
		require.NoError(t, err, name)
		require.Contains(t, []int{http.StatusAccepted, http.StatusBadRequest, http.StatusRequestEntityTooLarge}, a.Status, "%s: %s", name, a.Body)
		if a.Status == http.StatusAccepted {
			ids = append(ids, a.MessageID)
		} else {
			require.True(t, json.Valid(a.Body), name)
		}
		good()
	}
	for id, status := range l.settled(30*time.Second, ids...) {
		require.Equal(t, "answered", status, id)
	}
	for i := 1; i <= n; i++ {
		require.Equal(t, []string{fmt.Sprint("good ", i)}, l.out.Texts(fmt.Sprint("good", i)))
	}
	require.Equal(t, http.StatusOK, h.call(http.MethodGet, "/readyz", nil, nil))
}

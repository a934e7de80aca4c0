package steps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// letter is a dead letter as the API has it.
type letter struct {
	ID, TurnID                        uuid.UUID
	Step, Cause, Error, Status, Input string
	Attempts                          int
}

func (d *letter) UnmarshalJSON(b []byte) error {
	var in omni.DeadLetter
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*d = letter{ID: in.ID, Step: in.Step, Cause: in.Cause, Error: in.Error, Status: string(in.Status), Input: string(in.Input), Attempts: in.Attempts}
	if in.TurnID != nil {
		d.TurnID = *in.TurnID
	}
	return nil
}

// letters waits until there are n open dead letters of a line, newest first.
func (l *line) letters(t *testing.T, n int) (list []letter) {
	t.Helper()
	require.Eventually(t, func() bool {
		l.site.call(t, http.MethodGet, "/api/v1/dead-letters?status=open&instanceId="+l.id.String(), nil, &list)
		return len(list) == n
	}, 15*time.Second, 20*time.Millisecond, "%d dead letters", n)
	return list
}

// try makes a call that may be refused.
func (s *site) try(t *testing.T, method, path string, body any) (status int, code string) {
	t.Helper()
	b, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, s.url(path), bytes.NewReader(b))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var p struct{ Code string }
	_ = json.Unmarshal(raw, &p) // an answer without a body has no code
	return resp.StatusCode, p.Code
}

func (s *site) retry(t *testing.T, id uuid.UUID) (status int, code string) {
	t.Helper()
	return s.try(t, http.MethodPost, "/api/v1/dead-letters/"+id.String()+"/retry", nil)
}

// becomes waits until a message has a status.
func (s *site) becomes(t *testing.T, message uuid.UUID, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return s.status(t, message) == want }, answeredWithin, 20*time.Millisecond,
		"message becomes %s", want)
}

// The hub dies between the commit of a retry and the start of its workflow, or
// right after that. By itself, or because somebody clicks again, it goes on:
// once.
func TestKillBetweenARetryAndItsStart(t *testing.T) {
	t.Parallel()
	agent := newLLM(t, refuses)
	c := newChild(t)
	c.start(t, orders{})
	l := c.newLine(t, object{"agent": agent.agent(nil)})
	cases := []struct {
		when  string
		click bool // once more after the restart
	}{{before, false}, {before, true}, {after, false}, {after, true}}
	letters := make([]letter, len(cases))
	for i := range cases {
		id := l.say(t, fmt.Sprint("m", i), fmt.Sprint("c", i), "hello")
		letters[i] = l.letters(t, i+1)[0]
		c.becomes(t, id, "failed")
	}
	agent.set(says("the answer", 0))
	c.stop()
	for i, k := range cases {
		chat := fmt.Sprint("c", i)
		c.start(t, orders{Faults: []fault{{moment: moment{When: k.when, Point: "RetryTurn", Chat: l.chat(chat)}, Nth: 1}}})
		status, code := c.retry(t, letters[i].ID)
		require.Zero(t, status, code)
		c.dies(t, 20*time.Second)
		c.start(t, orders{})
		restarted := time.Now()
		if k.click {
			if status, code := c.retry(t, letters[i].ID); status != http.StatusOK {
				require.Equal(t, "dead_letter_not_open", code, "it was quicker")
			}
		}
		l.hears(t, answeredWithin-time.Since(restarted), chat, "the answer")
		c.becomes(t, l.message(fmt.Sprint("m", i)), "answered")
		c.stop()
	}
	c.start(t, orders{})
	for i := range cases {
		chat := fmt.Sprint("c", i)
		require.Equal(t, []string{"the answer"}, l.out.Texts(chat))
		require.Equal(t, 1, c.events(t, l.message(fmt.Sprint("m", i)))["turn.completed"])
		status, code := c.retry(t, letters[i].ID)
		require.Equal(t, http.StatusConflict, status)
		require.Equal(t, "dead_letter_not_open", code)
	}
}

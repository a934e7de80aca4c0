package api_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

const lettersPath = "/api/v1/dead-letters"

// died records a message whose agent was given up on.
func (h *hub) died(instance uuid.UUID, chat, id, kind string) omni.DeadLetter {
	h.t.Helper()
	ctx := h.t.Context()
	message := h.received(instance, chat, id, "hello from "+chat)
	chatID, workflow, attempt := omni.ChatID(instance, chat), "message/"+message.String(), omni.Attempt{StartedAt: time.Now(), Number: 1}
	_, err := h.store.CheckMessage(ctx, message, omni.PlanAccess("disabled", nil, &omni.AccessFacts{}, time.Now()), attempt)
	require.NoError(h.t, err)
	v, err := h.store.JoinTurn(ctx, omni.JoinParams{ChatID: chatID, MessageID: message, SessionKey: "chat", Agent: "instance",
		WorkflowID: workflow, TurnID: omni.TurnID(message, 0), QuietCap: time.Minute, Close: true,
		Closing: omni.ClosingParams{Provider: "echo", AnswerWithin: time.Minute, MediaWithin: time.Minute}, Attempt: attempt})
	require.NoError(h.t, err)
	require.Equal(h.t, "closed", v.State)
	_, _, err = h.store.GiveUpTurn(ctx, omni.TurnFailure{ChatID: chatID, TurnID: v.TurnID.UUID, WorkflowID: workflow, Epoch: v.Epoch,
		Error: kind + ": it failed", Attempts: 3}, attempt)
	require.NoError(h.t, err)
	_, _, err = h.store.FinishTurn(ctx, omni.FinishParams{ChatID: chatID, TurnID: v.TurnID.UUID, WorkflowID: workflow, Epoch: v.Epoch,
		Outcome: "failed", Attempt: attempt})
	require.NoError(h.t, err)
	return h.letters("?limit=1")[0]
}

func (h *hub) letters(query string) []omni.DeadLetter {
	h.t.Helper()
	a := h.admin(http.MethodGet, lettersPath+query, nil)
	require.Equal(h.t, http.StatusOK, a.status, "%s", a.body)
	var list []omni.DeadLetter
	a.data(h.t, &list)
	return list
}

func TestDeadLettersAreListed(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in, other := h.instance(), h.instance()
	first := h.died(in, "c1", "m1", "bad_credentials")
	second := h.died(other, "c2", "m2", "transient")
	h.admin(http.MethodPost, lettersPath+"/"+first.ID.String()+"/resolve", nil)
	person, err := h.store.Message(t.Context(), omni.DefaultTenant, *second.MessageID)
	require.NoError(t, err)
	for query, want := range map[string][]omni.DeadLetter{
		"":                                      {second, first},
		"?instanceId=" + in.String():            {first},
		"?chatId=" + second.ChatID.String():     {second},
		"?personId=" + person.PersonID.String(): {second},
		"?status=open":                          {second},
		"?status=resolved":                      {first},
		"?step=agent.Reply":                     {second, first},
		"?step=deliver.Send":                    {},
		"?cause=transient":                      {second},
		"?cause=transient&status=resolved":      {},
	} {
		got := h.letters(query)
		require.Len(t, got, len(want), query)
		for i := range want {
			require.Equal(t, want[i].ID, got[i].ID, query)
		}
	}
	a := h.admin(http.MethodGet, lettersPath+"?limit=1", nil)
	var page struct{ Meta struct{ NextCursor string } }
	require.NoError(t, json.Unmarshal(a.body, &page))
	require.Equal(t, first.ID, h.letters("?limit=1&cursor=" + page.Meta.NextCursor)[0].ID)
	require.Equal(t, http.StatusUnprocessableEntity, h.admin(http.MethodGet, lettersPath+"?status=lost", nil).status)

	var d map[string]any
	h.admin(http.MethodGet, lettersPath+"/"+second.ID.String(), nil).data(t, &d)
	for _, k := range []string{"id", "instanceId", "chatId", "messageId", "turnId", "step", "cause", "error", "attempts", "input", "status", "createdAt"} {
		require.NotNil(t, d[k], k)
	}
	require.EqualValues(t, 3, d["attempts"])
	require.Contains(t, string(second.Input), "hello from c2")
}

func TestRetryDeadLetter(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	letter := h.died(in, "c1", "m1", "bad_credentials")
	path := lettersPath + "/" + letter.ID.String()
	const clicks = 6
	var wg sync.WaitGroup
	for range clicks {
		wg.Go(func() {
			if a := h.admin(http.MethodPost, path+"/retry", nil); a.status != http.StatusOK {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	h.engine.mu.Lock()
	for _, ref := range h.engine.turns {
		require.Equal(t, h.engine.turns[0], ref, "every click names the same workflow, which starts once")
	}
	require.Equal(t, "turn/"+letter.TurnID.String()+"/2", h.engine.turns[0].WorkflowID)
	require.Equal(t, *letter.MessageID, h.engine.turns[0].Leader)
	h.engine.mu.Unlock()
	got := h.letters("")[0]
	require.Equal(t, omni.DeadLetterRetried, got.Status)
	require.NotNil(t, got.RetriedAt)
	a := h.admin(http.MethodPost, path+"/resolve", nil)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "dead_letter_not_open", a.code(t))

	// Over, there is nothing to retry any more.
	_, err := h.store.TakeoverChat(t.Context(), *letter.ChatID, omni.Takeover{Reason: "by call"})
	require.NoError(t, err)
	a = h.admin(http.MethodPost, path+"/retry", nil)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "dead_letter_not_open", a.code(t))
	require.NoError(t, h.store.ResumeChat(t.Context(), *letter.ChatID, "by call"))
}

func TestRetriesThatAreRefused(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	letter := h.died(in, "c1", "m1", "bad_credentials")
	path := lettersPath + "/" + letter.ID.String()
	chat := "/api/v1/chats/" + letter.ChatID.String()
	require.Equal(t, 200, h.admin(http.MethodPost, chat+"/takeover", nil).status)
	a := h.admin(http.MethodPost, path+"/retry", nil)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "chat_paused", a.code(t))
	require.Equal(t, omni.DeadLetterOpen, h.letters("")[0].Status)
	require.Equal(t, 200, h.admin(http.MethodPost, chat+"/resume", nil).status)

	for range 2 { // resolved is resolved
		a = h.admin(http.MethodPost, path+"/resolve", nil)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	}
	a = h.admin(http.MethodPost, path+"/retry", nil)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "dead_letter_not_open", a.code(t))
	require.Empty(t, h.engine.turns)
}

// The retry is committed, and Temporal is away: it is started as soon as that
// is back, by whoever sweeps.
func TestRetryWhileTemporalIsAway(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	letter := h.died(h.instance(), "c1", "m1", "bad_credentials")
	h.engine.fail = errors.New("away")
	require.Equal(t, http.StatusOK, h.admin(http.MethodPost, lettersPath+"/"+letter.ID.String()+"/retry", nil).status)
	require.Empty(t, h.engine.turns)
	h.engine.mu.Lock()
	h.engine.fail = nil
	h.engine.mu.Unlock()
	_, err := h.store.Pool().Exec(t.Context(), `UPDATE dead_letters SET retried_at = now() - interval '1 minute'`)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, h.control.DeadLetters.Sweep(t.Context()))
	}
	require.Len(t, h.engine.turns, 1)
	require.Equal(t, "turn/"+letter.TurnID.String()+"/2", h.engine.turns[0].WorkflowID)
}

type bulk struct {
	Count, Refused, Remaining int
	Reasons                   map[string]int
	DryRun                    bool
}

func (h *hub) bulk(verb, body string) (b bulk) {
	h.t.Helper()
	a := h.admin(http.MethodPost, lettersPath+"/"+verb, body)
	require.Equal(h.t, http.StatusOK, a.status, "%s", a.body)
	a.data(h.t, &b)
	return b
}

func TestDeadLettersInBulk(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	const each = 4
	var first omni.DeadLetter
	for i := range each {
		letter := h.died(in, fmt.Sprint("c", i), fmt.Sprint("m", i), "bad_credentials")
		if i == 0 {
			first = letter
		}
		h.died(in, fmt.Sprint("d", i), fmt.Sprint("n", i), "transient")
	}
	require.Equal(t, bulk{Count: each, DryRun: true}, h.bulk("retry", `{"cause":"bad_credentials","dryRun":true}`))
	require.Empty(t, h.engine.turns)
	require.Equal(t, 200, h.admin(http.MethodPost, "/api/v1/chats/"+first.ChatID.String()+"/takeover", nil).status)
	require.Equal(t, bulk{Count: each - 1, Refused: 1, Reasons: map[string]int{"chat_paused": 1}}, h.bulk("retry", `{"cause":"bad_credentials"}`))
	require.Len(t, h.engine.turns, each-1)
	require.Equal(t, bulk{Refused: 1, Reasons: map[string]int{"chat_paused": 1}}, h.bulk("retry", `{"cause":"bad_credentials"}`))

	require.Equal(t, bulk{Count: each, DryRun: true}, h.bulk("resolve", `{"cause":"transient","dryRun":true}`))
	require.Equal(t, bulk{Count: each}, h.bulk("resolve", `{"cause":"transient","step":"agent.Reply"}`))
	require.Equal(t, bulk{}, h.bulk("resolve", `{"cause":"transient"}`))
	require.Equal(t, bulk{Count: 1}, h.bulk("resolve", `{"all":true}`))
	require.Empty(t, h.letters("?status=open"))

	for _, body := range []string{`{}`, `{"dryRun":true}`, `{"all":true,"cause":"x"}`, `{"chatId":"x"}`} {
		a := h.admin(http.MethodPost, lettersPath+"/retry", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", body, a.body)
		require.NotEmpty(t, a.fields(t), body)
	}
	// A key sees its own instances only.
	h.died(h.instance(), "e1", "o1", "transient")
	a := h.admin(http.MethodPost, "/api/v1/keys", map[string]any{"name": "one", "scopes": []string{"dead-letters:write"}, "instanceIds": []uuid.UUID{in}})
	var k struct{ Key string }
	a.data(t, &k)
	var b bulk
	h.call(k.Key, http.MethodPost, lettersPath+"/resolve", `{"all":true}`).data(t, &b)
	require.Zero(t, b.Count)
	require.Len(t, h.letters("?status=open"), 1)
}

func TestRetryOfPoison(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	env := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: in, Channel: "custom", ReceivedAt: time.Now().UTC(),
		Event: message.Inbound{ID: "m1", Kind: message.KindMessage, Chat: message.Chat{ID: "c1"}, Sender: message.Sender{ID: "u1"},
			Content: message.Content{Type: message.TypeText, Text: "hello"}}}
	env.MessageID = omni.MessageID(in, env.ExternalKey())
	subject := "channel.inbound.default.custom." + in.String()
	bury := func(failure string, input map[string]any) omni.DeadLetter {
		raw, err := json.Marshal(input)
		require.NoError(t, err)
		require.NoError(t, h.store.RecordPoison(t.Context(), store.Poison{ID: uuid.New(), TenantID: omni.DefaultTenant,
			InstanceID: uuid.NullUUID{UUID: in, Valid: true}, Error: failure, Attempts: 3, Input: raw}, 0))
		return h.letters("?limit=1&status=open")[0]
	}
	refused := bury(`recording 1 events: ERROR: new row violates check constraint (SQLSTATE 23514)`, map[string]any{"subject": subject, "envelope": env})
	require.Equal(t, "sqlstate_23514", refused.Cause)
	path := lettersPath + "/" + refused.ID.String() + "/retry"
	require.Equal(t, http.StatusOK, h.admin(http.MethodPost, path, nil).status)
	require.Len(t, h.bus.published, 1)
	require.True(t, strings.HasPrefix(h.bus.published[0], subject+" dead-letter/"+refused.ID.String()+" "))
	got, err := omni.ParseInbound([]byte(strings.SplitN(h.bus.published[0], " ", 3)[2]))
	require.NoError(t, err)
	require.Equal(t, env.MessageID, got.MessageID)
	require.Equal(t, omni.DeadLetterRetried, h.letters("")[0].Status)
	a := h.admin(http.MethodPost, path, nil)
	require.Equal(t, http.StatusConflict, a.status, "%s", a.body)
	require.Len(t, h.bus.published, 1)

	unreadable := bury("reading an inbound event: invalid character", map[string]any{"subject": subject, "payload": base64.StdEncoding.EncodeToString([]byte("\x00junk"))})
	require.Equal(t, "unreadable", unreadable.Cause)
	require.Equal(t, bulk{Count: 1}, h.bulk("retry", `{"cause":"unreadable"}`))
	require.True(t, strings.HasSuffix(h.bus.published[1], " \x00junk"), "as it came")
}

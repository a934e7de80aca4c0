package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

type sent struct {
	ID       uuid.UUID
	ChatID   uuid.UUID
	Status   string
	Repeated bool
}

func (h *hub) send(body any, header ...string) sent {
	h.t.Helper()
	a := h.admin(http.MethodPost, "/api/v1/messages", body, header...)
	require.Equal(h.t, http.StatusAccepted, a.status, "%s", a.body)
	var s sent
	a.data(h.t, &s)
	return s
}

func textTo(instance uuid.UUID, to, text string) map[string]any {
	return map[string]any{"instanceId": instance, "to": to, "content": map[string]any{"type": "text", "text": text}}
}

func TestSendStoresStartsAndReads(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	s := h.send(textTo(in, "c1", "hi"))
	require.Equal(t, "queued", s.Status)
	require.Equal(t, omni.ChatID(in, "c1"), s.ChatID)
	starts := h.engine.starts()
	require.Len(t, starts, 1)
	require.Equal(t, s.ID, starts[0].MessageID)
	require.Equal(t, "custom", starts[0].Channel)
	require.Zero(t, h.engine.delays[0])

	var m map[string]any
	h.admin(http.MethodGet, "/api/v1/messages/"+s.ID.String(), nil).data(t, &m)
	for _, k := range []string{"id", "instanceId", "chatId", "personId", "direction", "externalId", "content", "status", "access",
		"replyTo", "turnId", "sentAt", "createdAt"} {
		require.Contains(t, m, k, "messages everywhere have %s", k)
	}
	require.Equal(t, "outbound", m["direction"])
	require.Equal(t, map[string]any{"type": "text", "text": "hi"}, m["content"])

	var chat struct{ ExternalID string }
	h.admin(http.MethodGet, "/api/v1/chats/"+s.ChatID.String(), nil).data(t, &chat)
	require.Equal(t, "c1", chat.ExternalID)

	var tr omni.Trace
	h.admin(http.MethodGet, "/api/v1/messages/"+s.ID.String()+"/trace", nil).data(t, &tr)
	require.Equal(t, s.ID, tr.CorrelationID)
	require.Len(t, tr.Steps, 1)
	require.Equal(t, "message.sending", tr.Steps[0].Name)
	require.Len(t, tr.Workflows, 1)
	require.Equal(t, "Outbound", tr.Workflows[0].Type)
	require.Equal(t, temporalUI+"/namespaces/default/workflows/outbound%2Fdefault%2F"+s.ID.String()+"/run-of-out/history",
		tr.Workflows[0].URL)
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	first := h.send(textTo(in, "c1", "hi"), "Idempotency-Key", "k1")
	again := h.send(textTo(in, "c1", "hi"), "Idempotency-Key", "k1")
	require.Equal(t, first.ID, again.ID)
	require.True(t, again.Repeated)
	require.Equal(t, omni.OutboundID(omni.DefaultTenant, "k1"), first.ID)
	a := h.admin(http.MethodPost, "/api/v1/messages", textTo(in, "c1", "other"), "Idempotency-Key", "k1")
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Equal(t, "idempotency_key_reused", a.code(t))
	require.NotEqual(t, first.ID, h.send(textTo(in, "c1", "hi"), "Idempotency-Key", "k2").ID)
	one, two := h.send(textTo(in, "c1", "hi")), h.send(textTo(in, "c1", "hi"))
	require.NotEqual(t, one.ID, two.ID, "no key: another message")

	// A day later the key is free again, for another message.
	_, err := h.store.Pool().Exec(t.Context(), `UPDATE idempotency_keys SET created_at = now() - interval '25 hours'`)
	require.NoError(t, err)
	later := h.send(textTo(in, "c1", "other"), "Idempotency-Key", "k1")
	require.False(t, later.Repeated)
	require.NotEqual(t, first.ID, later.ID)
	require.Equal(t, later.ID, h.send(textTo(in, "c1", "other"), "Idempotency-Key", "k1").ID)
}

// Nothing is sent by an instance that somebody disconnected: whoever asks hears
// so, unless the message was accepted before, or is for later.
func TestADisconnectedInstanceSendsNothing(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	path := "/api/v1/instances/" + in.String()
	first := h.send(textTo(in, "c1", "hi"), "Idempotency-Key", "k1")
	require.Equal(t, http.StatusOK, h.admin(http.MethodPost, path+"/disconnect", nil).status)
	a := h.admin(http.MethodPost, "/api/v1/messages", textTo(in, "c1", "more"), "Idempotency-Key", "k2")
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "instance_disconnected", a.code(t))
	require.Equal(t, first.ID, h.send(textTo(in, "c1", "hi"), "Idempotency-Key", "k1").ID, "it was accepted before")
	later := textTo(in, "c1", "later")
	later["sendAt"] = time.Now().AddDate(5, 0, 0)
	require.Equal(t, "scheduled", h.send(later).Status)
	require.Equal(t, http.StatusOK, h.admin(http.MethodPost, path+"/connect", nil).status)
	require.False(t, h.send(textTo(in, "c1", "more"), "Idempotency-Key", "k2").Repeated, "what was refused did not use its key")
}

func TestTheSameKeyAtTheSameTimeIsOneMessage(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	const n = 16
	ids := make([]uuid.UUID, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a := h.admin(http.MethodPost, "/api/v1/messages", textTo(in, "c1", "hi"), "Idempotency-Key", "same")
			if a.status == http.StatusAccepted {
				var env struct{ Data sent }
				if json.Unmarshal(a.body, &env) == nil {
					ids[i] = env.Data.ID
				}
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		require.Equal(t, omni.OutboundID(omni.DefaultTenant, "same"), id)
	}
	var rows int
	require.NoError(t, h.store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM messages`).Scan(&rows))
	require.Equal(t, 1, rows)
}

func TestAMissedStartIsMadeUp(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	h.engine.fail = errors.New("temporal is away")
	s := h.send(textTo(in, "c1", "hi"), "Idempotency-Key", "k")
	require.Equal(t, "queued", s.Status, "stored is accepted")
	require.Empty(t, h.engine.starts())

	h.engine.mu.Lock()
	h.engine.fail = nil
	h.engine.mu.Unlock()
	h.send(textTo(in, "c1", "hi"), "Idempotency-Key", "k")
	require.Len(t, h.engine.starts(), 1, "the repeated call makes sure")
	h.send(textTo(in, "c1", "hi"), "Idempotency-Key", "k")
	require.Len(t, h.engine.starts(), 1, "once is enough")

	_, err := h.store.Pool().Exec(t.Context(), `UPDATE idempotency_keys SET started_at = NULL, created_at = now() - interval '1 minute'`)
	require.NoError(t, err)
	late, err := h.store.UnstartedOutbound(t.Context(), 5*time.Second, 10)
	require.NoError(t, err)
	require.Len(t, late, 1)
	require.Equal(t, s.ID, late[0].MessageID)
}

func TestScheduledMessages(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	body := textTo(in, "c1", "later")
	body["sendAt"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	s := h.send(body)
	require.Equal(t, "scheduled", s.Status)
	require.InDelta(t, time.Hour.Seconds(), h.engine.delays[0].Seconds(), 5)
	path := "/api/v1/messages/" + s.ID.String()
	require.Equal(t, http.StatusNoContent, h.admin(http.MethodDelete, path, nil).status)
	require.Equal(t, []uuid.UUID{s.ID}, h.engine.ended)
	var m omni.Message
	h.admin(http.MethodGet, path, nil).data(t, &m)
	require.Equal(t, omni.StatusCancelled, m.Status)
	a := h.admin(http.MethodDelete, path, nil)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "not_scheduled", a.code(t))

	body["sendAt"] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	require.Equal(t, "queued", h.send(body).Status, "the past is now")
}

// A text that is longer than the channel takes becomes several messages; what
// is waited for is all of them.
func TestLongTextsAreSentInParts(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance(`{"channel":"telegram","channelConfig":{"botToken":"111111111:AALongLongLongLongLongLongLongLongLo"}}`)
	text := strings.Repeat("**Some** words of a sentence. ", 200)
	answered := make(chan *answer, 1)
	go func() {
		answered <- h.admin(http.MethodPost, "/api/v1/messages?wait=10", textTo(in, "1001", text), "Idempotency-Key", "long")
	}()
	id := omni.OutboundID(omni.DefaultTenant, "long")
	for i := range 2 {
		require.Eventually(t, func() bool {
			tag, err := h.store.Pool().Exec(t.Context(), `UPDATE messages SET status = 'sent' WHERE id = $1 AND text LIKE '%<b>Some</b> words%'`,
				omni.OutboundPartID(id, i))
			return err == nil && tag.RowsAffected() == 1
		}, 20*time.Second, 5*time.Millisecond)
	}
	var s sent
	(<-answered).data(t, &s)
	require.Equal(t, id, s.ID)
	require.Equal(t, "sent", s.Status)
	require.Equal(t, 2, h.engine.starts()[0].Parts)

	a := h.admin(http.MethodPost, "/api/v1/messages", textTo(in, "1001", strings.Repeat(text, 60)))
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Contains(t, string(a.body), "channel telegram takes 4096 UTF-16 units at a time")
}

func TestWaitAnswersWithTheOutcome(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	id := omni.OutboundID(omni.DefaultTenant, "w")
	answered := make(chan *answer, 1)
	go func() {
		answered <- h.admin(http.MethodPost, "/api/v1/messages?wait=10", textTo(in, "c1", "hi"), "Idempotency-Key", "w")
	}()
	require.Eventually(t, func() bool {
		tag, err := h.store.Pool().Exec(t.Context(), `UPDATE messages SET status = 'sent' WHERE id = $1`, id)
		return err == nil && tag.RowsAffected() == 1
	}, 20*time.Second, 5*time.Millisecond)
	a := <-answered
	var s sent
	a.data(t, &s)
	require.Equal(t, "sent", s.Status)
	start := time.Now()
	a = h.admin(http.MethodPost, "/api/v1/messages?wait=1", textTo(in, "c1", "never sent"))
	require.Equal(t, http.StatusAccepted, a.status)
	require.GreaterOrEqual(t, time.Since(start), 900*time.Millisecond)
}

func TestSendRefuses(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in, other := h.instance(), h.instance()
	foreign := h.received(other, "c9", "m9", "elsewhere")
	content := func(c string) string {
		return fmt.Sprintf(`{"instanceId":"%s","to":"c1","content":%s}`, in, c)
	}
	for _, tc := range []struct {
		body, field string
		status      int
	}{
		{fmt.Sprintf(`{"instanceId":"%s","content":{"type":"text","text":"x"}}`, in), "to", 422},
		{fmt.Sprintf(`{"instanceId":"%s","to":"a","chatId":"%s","content":{"type":"text","text":"x"}}`, in, unknownUUID), "to", 422},
		{`{"to":"a","content":{"type":"text","text":"x"}}`, "instanceId", 422},
		{`{"instanceId":"nonsense","to":"a","content":{"type":"text","text":"x"}}`, "instanceId", 422},
		{fmt.Sprintf(`{"chatId":"%s","content":{"type":"text","text":"x"}}`, unknownUUID), "", 404},
		{fmt.Sprintf(`{"personId":"%s","content":{"type":"text","text":"x"}}`, unknownUUID), "", 404},
		{content(`{"type":"text"}`), "content.text", 422},
		{content(`{"type":"text","text":"a\u0000b"}`), "content.text", 422},
		{content(`{"type":"smell","text":"x"}`), "content.type", 422},
		{content(`{"type":"image"}`), "content.media", 422},
		{content(`{"type":"image","media":[{"url":"file:///etc/passwd"}]}`), "content.media[0].url", 422},
		{content(`{"type":"location","location":{"latitude":91,"longitude":0}}`), "content.location.latitude", 422},
		{content(`{"type":"poll","poll":{"question":"?","options":["a"]}}`), "content.poll.options", 422},
		{content(`{"type":"reaction","reaction":{"emoji":"x"}}`), "replyTo", 422},
		{fmt.Sprintf(`{"instanceId":"%s","to":"c1","content":{"text":"x"},"replyTo":"%s"}`, in, foreign), "replyTo", 422},
		{fmt.Sprintf(`{"instanceId":"%s","to":"c1","content":{"text":"x"},"sendAt":"soon"}`, in), "sendAt", 422},
		{fmt.Sprintf(`{"instanceId":"%s","to":"c1"}`, in), "content", 422},
	} {
		a := h.admin(http.MethodPost, "/api/v1/messages", tc.body)
		require.Equal(t, tc.status, a.status, "%s: %s", tc.body, a.body)
		if tc.field != "" {
			require.Contains(t, a.fields(t), tc.field, "%s: %s", tc.body, a.body)
		}
	}
	require.Empty(t, h.engine.starts())
}

func TestSendToAChatAPersonAndInReply(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	msg := h.received(in, "c1", "m1", "hello")
	var m omni.Message
	h.admin(http.MethodGet, "/api/v1/messages/"+msg.String(), nil).data(t, &m)
	require.NotNil(t, m.PersonID)
	content := map[string]any{"text": "hi"}

	byChat := h.send(map[string]any{"chatId": m.ChatID, "content": content, "replyTo": msg})
	require.Equal(t, m.ChatID, byChat.ChatID)
	var reply omni.Message
	h.admin(http.MethodGet, "/api/v1/messages/"+byChat.ID.String(), nil).data(t, &reply)
	require.Equal(t, msg, *reply.ReplyTo)
	require.Equal(t, *m.PersonID, *reply.PersonID)
	var ext string
	require.NoError(t, h.store.Pool().QueryRow(t.Context(), `SELECT reply_to_external FROM messages WHERE id = $1`, byChat.ID).Scan(&ext))
	require.Equal(t, "m1", ext)

	byPerson := h.send(map[string]any{"personId": *m.PersonID, "content": content})
	require.Equal(t, m.ChatID, byPerson.ChatID, "where they last wrote")
	a := h.admin(http.MethodPost, "/api/v1/messages", map[string]any{"personId": *m.PersonID, "instanceId": h.instance(), "content": content})
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Contains(t, a.fields(t), "personId")
}

func TestMessageFilters(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	a, b := h.instance(), h.instance()
	m1, m2 := h.received(a, "c1", "1", "one"), h.received(a, "c2", "2", "two")
	m3 := h.received(b, "c1", "3", "three")
	out := h.send(textTo(a, "c1", "out"))
	list := func(query string) (ids []uuid.UUID) {
		var found []omni.Message
		h.admin(http.MethodGet, "/api/v1/messages?"+query, nil).data(t, &found)
		for _, m := range found {
			ids = append(ids, m.ID)
		}
		return ids
	}
	require.Equal(t, []uuid.UUID{out.ID, m3, m2, m1}, list(""))
	require.Equal(t, []uuid.UUID{out.ID, m2, m1}, list("instanceId="+a.String()))
	require.Equal(t, []uuid.UUID{out.ID, m1}, list("chatId="+out.ChatID.String()))
	require.Equal(t, []uuid.UUID{m1}, list("direction=inbound&chatId="+out.ChatID.String()))
	require.Equal(t, []uuid.UUID{out.ID}, list("status=queued"))
	require.Equal(t, []uuid.UUID{m3}, list("personId="+h.personOf(m3).String()))
	var found []omni.Message
	h.admin(http.MethodGet, "/api/v1/chats/"+out.ChatID.String()+"/messages", nil).data(t, &found)
	require.Len(t, found, 2)

	var persons []omni.Person
	h.admin(http.MethodGet, "/api/v1/persons?q=ANA%20C2", nil).data(t, &persons)
	require.Len(t, persons, 1)
	require.Equal(t, h.personOf(m2), persons[0].ID)
	h.admin(http.MethodGet, "/api/v1/persons?q=100%25", nil).data(t, &persons)
	require.Empty(t, persons, "a percent sign is no wildcard")
	var identities []omni.Identity
	h.admin(http.MethodGet, "/api/v1/persons/"+h.personOf(m2).String()+"/identities", nil).data(t, &identities)
	require.Equal(t, "user-c2", identities[0].PlatformUserID)
	var chats []omni.Chat
	h.admin(http.MethodGet, "/api/v1/chats?instanceId="+b.String(), nil).data(t, &chats)
	require.Len(t, chats, 1)
	require.Equal(t, m3, firstMessage(t, h, chats[0].ID))
}

func firstMessage(t *testing.T, h *hub, chat uuid.UUID) uuid.UUID {
	t.Helper()
	var found []omni.Message
	h.admin(http.MethodGet, "/api/v1/messages?chatId="+chat.String(), nil).data(t, &found)
	return found[0].ID
}

func (h *hub) personOf(msg uuid.UUID) uuid.UUID {
	h.t.Helper()
	m, err := h.store.Message(h.t.Context(), omni.DefaultTenant, msg)
	require.NoError(h.t, err)
	return *m.PersonID
}

func TestTraceOfAnInboundMessage(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	msg := h.received(in, "c1", "m1", "hello")
	started := time.Now().UTC().Add(-time.Second).Truncate(time.Microsecond)
	for i, typ := range []omni.EventType{omni.EventAccessChecked, omni.EventAgentRequest, omni.EventAgentError} {
		require.NoError(t, h.store.AppendEvent(t.Context(), store.NewEvent{
			TenantID: omni.DefaultTenant, Type: typ, InstanceID: in, Channel: "custom",
			CorrelationID: uuid.NullUUID{UUID: msg, Valid: true},
			Data: map[string]any{"messageId": msg, "step": []string{"access.Check", "agent.Reply", "agent.Reply"}[i],
				"startedAt": started.Add(time.Duration(i/2) * time.Millisecond), "durationMs": 1.5, "attempts": 2, "error": map[bool]string{true: "boom"}[i == 2]},
		}))
	}
	var tr omni.Trace
	a := h.admin(http.MethodGet, "/api/v1/messages/"+msg.String()+"/trace", nil)
	a.data(t, &tr)
	require.Contains(t, string(a.body), `"error":""`, "a step that went well says so")
	require.Equal(t, msg, tr.MessageID)
	steps := map[string]omni.TraceStep{}
	for _, s := range tr.Steps {
		steps[s.Name] = s
	}
	for _, name := range []string{"channel.inbound", "ingest.Record", "access.Check", "agent.Reply"} {
		require.Contains(t, steps, name)
	}
	require.Equal(t, "channel.inbound", tr.Steps[slices.IndexFunc(tr.Steps, func(s omni.TraceStep) bool {
		return s.Name == "ingest.Record"
	})-1].Name, "from the edge on, in order")
	require.Equal(t, "completed", steps["access.Check"].Status)
	require.Equal(t, 2, steps["access.Check"].Attempts)
	require.Equal(t, "failed", steps["agent.Reply"].Status)
	require.Equal(t, "boom", steps["agent.Reply"].Error)
	require.Equal(t, "message/"+msg.String(), tr.Workflows[0].ID)
	require.Contains(t, tr.Workflows[0].URL, "/workflows/message%2F")
	require.NotNil(t, tr.Replies)
}

// Everything that sent a message is in its trace, whichever of its parts is
// asked about: its workflow, and those that went on with it.
func TestTraceOfALongMessage(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance(`{"channel":"telegram","channelConfig":{"botToken":"111111111:AATraceTraceTraceTraceTraceTraceTrace"}}`)
	first := h.send(textTo(in, "1001", strings.Repeat("word ", 1000))).ID
	second := omni.OutboundPartID(first, 1)
	letter, word := uuid.New(), uuid.New()
	exec := func(sql string, args ...any) {
		_, err := h.store.Pool().Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	exec(`INSERT INTO dead_letters (id, tenant_id, instance_id, message_id, step, error, input, status, retried_at)
		VALUES ($1, 'default', $2, $3, 'deliver.Send', 'no', '{}', 'retried', now())`, letter, in, second)
	exec(`INSERT INTO dead_letters (id, tenant_id, instance_id, message_id, step, error, input)
		VALUES ($1, 'default', $2, $3, 'deliver.Send', 'no', '{}')`, uuid.New(), in, second) // open: nothing went on
	exec(`INSERT INTO outbound_resumptions (id, tenant_id, message_id, created_at) VALUES ($1, 'default', $2, now() + interval '1 second')`, word, first)
	for _, part := range []uuid.UUID{first, second} {
		var tr omni.Trace
		h.admin(http.MethodGet, "/api/v1/messages/"+part.String()+"/trace", nil).data(t, &tr)
		require.Equal(t, first, tr.CorrelationID)
		var ids []string
		for _, w := range tr.Workflows {
			require.Equal(t, "Outbound", w.Type)
			ids = append(ids, w.ID)
		}
		own := "outbound/default/" + first.String()
		require.Equal(t, []string{own, own + "/" + letter.String(), own + "/" + word.String()}, ids)
	}
}

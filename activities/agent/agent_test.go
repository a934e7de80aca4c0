package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/activities/agent"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/provider"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

// world is a database with one instance whose agent is a server of the test.
type world struct {
	*agent.Activities
	t       *testing.T
	st      *store.Store
	inst    *omni.Instance
	cancels *cancels
	caps    channels.Capabilities
	typed   chan message.Chat
	seq     uint64

	llm   http.HandlerFunc
	asked chan []string // the messages of each call, as "role: content"

	mu       sync.Mutex
	observed []string
}

func newWorld(t *testing.T, llm http.HandlerFunc) *world {
	t.Helper()
	st, err := store.Open(t.Context(), testkit.Postgres(t), 4)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	w := &world{t: t, st: st, llm: llm, asked: make(chan []string, 100), cancels: &cancels{}, typed: make(chan message.Chat, 100)}
	client := &http.Client{Transport: &http.Transport{}}
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(func() { client.CloseIdleConnections(); server.Close() })

	cfg := omni.DefaultAgent()
	cfg.Provider, cfg.APIURL = "openai", server.URL+"/v1"
	w.inst = &omni.Instance{ID: uuid.New(), TenantID: omni.DefaultTenant, Name: "support", Channel: "custom",
		Settings: omni.DefaultSettings(), AgentAPIKey: "hush-hush-key"}
	w.inst.Settings.Agent = &cfg
	w.Activities = &agent.Activities{Store: st, Provider: provider.New(provider.Deps{HTTP: client}), Instances: w, Cancels: w.cancels,
		Capabilities: func(string) channels.Capabilities { return w.caps }, Quick: &agent.Quick{Log: st}, Deliveries: &omni.Latencies{},
		Typer: w, Observe: w.observe}
	return w
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	var body struct {
		Messages []struct{ Role, Name, Content string }
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		http.Error(rw, err.Error(), http.StatusTeapot)
		return
	}
	var said []string
	for _, m := range body.Messages {
		if m.Name != "" {
			m.Role += "(" + m.Name + ")"
		}
		said = append(said, m.Role+": "+m.Content)
	}
	w.asked <- said
	w.llm(rw, r)
}

// says is a model that always answers the same.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"model": "m1", "choices": []any{
			map[string]any{"finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": text}}}})
	}
}

func fails(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":{"message":"no, hush-hush-key"}}`)
	}
}

// Get implements agent.Instances.
func (w *world) Get(context.Context, uuid.UUID) (*omni.Instance, error) {
	if w.inst == nil {
		return nil, omni.ErrNotFound
	}
	return w.inst, nil
}

// Typing implements agent.Typer.
func (w *world) Typing(_ context.Context, _ string, _ uuid.UUID, chat message.Chat) error {
	w.typed <- chat
	return nil
}

func (w *world) observe(_ context.Context, provider, outcome string, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observed = append(w.observed, provider+" "+outcome)
}

func (w *world) outcomes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.observed...)
}

// cancels is a bus on which the test cancels turns.
type cancels struct {
	mu  sync.Mutex
	fns map[uuid.UUID]func()
}

func (c *cancels) OnCancel(turn uuid.UUID, fn func()) (stop func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fns == nil {
		c.fns = map[uuid.UUID]func(){}
	}
	c.fns[turn] = fn
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.fns, turn)
	}, nil
}

func (c *cancels) cancel(turn uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fns[turn]()
}

func (c *cancels) listening() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.fns)
}

// say records a message and takes it up to the closed turn that it leads.
func (w *world) say(chat message.Chat, sender, text string) activities.TurnRef {
	w.t.Helper()
	return w.sayIn("", chat, sender, text)
}

func (w *world) sayIn(session string, chat message.Chat, sender, text string) activities.TurnRef {
	w.t.Helper()
	return w.lead(session, w.record(chat, sender, text))
}

// lead takes a recorded message up to the closed turn that it leads.
func (w *world) lead(session string, e omni.Envelope) activities.TurnRef {
	w.t.Helper()
	ctx := w.t.Context()
	attempt := omni.Attempt{StartedAt: time.Now(), Number: 1}
	_, err := w.st.CheckMessage(ctx, e.MessageID, omni.PlanAccess("disabled", nil, &omni.AccessFacts{}, time.Now()), attempt)
	require.NoError(w.t, err)
	if session == "" {
		session = "chat:" + e.ChatID().String()
	}
	id := "message/" + e.MessageID.String()
	v, err := w.st.JoinTurn(ctx, omni.JoinParams{ChatID: e.ChatID(), MessageID: e.MessageID, SessionKey: session, Agent: "instance",
		WorkflowID: id, TurnID: omni.TurnID(e.MessageID, 0), QuietCap: time.Minute, Close: true,
		Closing: omni.ClosingParams{Provider: "openai", AnswerWithin: time.Minute, MediaWithin: time.Minute}, Attempt: attempt})
	require.NoError(w.t, err)
	require.Equal(w.t, "closed", v.State)
	return activities.TurnRef{TenantID: e.TenantID, InstanceID: e.InstanceID, Channel: e.Channel, ChatID: e.ChatID(),
		TurnID: v.TurnID.UUID, Epoch: v.Epoch, WorkflowID: id, Leader: e.MessageID}
}

func (w *world) record(chat message.Chat, sender, text string) omni.Envelope {
	w.t.Helper()
	return w.recordAs(chat, sender, func(in *message.Inbound) { in.Content.Text = text })
}

// recordAs records a message, or what change makes of it.
func (w *world) recordAs(chat message.Chat, sender string, change func(*message.Inbound)) omni.Envelope {
	w.t.Helper()
	w.seq++
	e := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: w.inst.ID, Channel: "custom", ReceivedAt: time.Now(), Seq: w.seq,
		Event: message.Inbound{ID: fmt.Sprint("m", w.seq), Kind: message.KindMessage, Timestamp: time.Now(), Chat: chat,
			Sender: message.Sender{ID: sender, Name: sender}, Content: message.Content{Type: message.TypeText}},
		Admission: &omni.Admission{Begins: true, Status: omni.StatusReceived}}
	change(&e.Event)
	e.MessageID = omni.MessageID(w.inst.ID, e.ExternalKey())
	require.NoError(w.t, w.st.Record(w.t.Context(), []omni.Envelope{e}, w.seq))
	return e
}

// overhear records a message that no trigger matches.
func (w *world) overhear(chat message.Chat, sender, text string) {
	w.t.Helper()
	e := w.record(chat, sender, text)
	v, err := w.st.JoinTurn(w.t.Context(), omni.JoinParams{ChatID: e.ChatID(), MessageID: e.MessageID, SessionKey: "none",
		WorkflowID: "message/" + e.MessageID.String(), TurnID: omni.TurnID(e.MessageID, 0), Refuse: string(omni.RefusedNotForUs),
		Attempt: omni.Attempt{StartedAt: time.Now(), Number: 1}})
	require.NoError(w.t, err)
	require.Equal(w.t, "ignored", v.State)
}

// deliver sends every part of a turn, which finishes it.
func (w *world) deliver(turn activities.TurnRef) (sent []string) {
	w.t.Helper()
	return w.deliverAs(turn, activities.OutcomeAnswered)
}

func (w *world) deliverAs(turn activities.TurnRef, outcome string) (sent []string) {
	w.t.Helper()
	for {
		c, err := w.st.ClaimPart(w.t.Context(), omni.ClaimParams{ChatID: turn.ChatID, TurnID: turn.TurnID, WorkflowID: turn.WorkflowID,
			Epoch: turn.Epoch, Sender: "me/1/1", TTL: time.Hour, StartedAt: time.Now()})
		require.NoError(w.t, err)
		if c.State != "claimed" {
			return sent
		}
		sent = append(sent, c.Content.Text)
		_, _, err = w.st.ReceiptPart(w.t.Context(), omni.ReceiptParams{ChatID: turn.ChatID, MessageID: c.MessageID, Status: "sent",
			ExternalID: "x-" + c.MessageID.String(), TurnID: uuid.NullUUID{UUID: turn.TurnID, Valid: true}, WorkflowID: turn.WorkflowID,
			Epoch: turn.Epoch, FinishAs: outcome, Attempt: omni.Attempt{StartedAt: time.Now(), Number: 1}})
		require.NoError(w.t, err)
	}
}

func (w *world) reply(turn activities.TurnRef) (activities.ReplyOutput, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	return w.Reply(ctx, activities.ReplyInput{Turn: turn})
}

// converse answers a message and delivers the answer.
func (w *world) converse(turn activities.TurnRef) []string {
	w.t.Helper()
	out, err := w.reply(turn)
	require.NoError(w.t, err)
	require.Equal(w.t, activities.StateClosed, out.State)
	return w.deliver(turn)
}

// events lists the data of a turn's events of one type.
func (w *world) events(turn activities.TurnRef, eventType omni.EventType) []map[string]any {
	w.t.Helper()
	rows, err := w.st.Pool().Query(w.t.Context(), `SELECT data FROM events WHERE correlation_id = $1 AND type = $2 ORDER BY xid, seq`,
		turn.Leader, string(eventType))
	require.NoError(w.t, err)
	defer rows.Close()
	var all []map[string]any
	for rows.Next() {
		var data map[string]any
		require.NoError(w.t, rows.Scan(&data))
		all = append(all, data)
	}
	require.NoError(w.t, rows.Err())
	return all
}

func requireApplicationError(t *testing.T, err error, errType string, final bool) *temporal.ApplicationError {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, errType, app.Type())
	require.Equal(t, final, app.NonRetryable())
	require.NotContains(t, app.Error(), "hush")
	return app
}

var dm = message.Chat{ID: "c1", Type: message.ChatDM}

// serverOf is a service of its own, beside the world's.
func (w *world) serverOf(answer http.HandlerFunc) string {
	server := httptest.NewServer(answer)
	w.t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL
}

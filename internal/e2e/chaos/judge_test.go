package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/testkit"
)

// fair is a history in which everything went well: a chat of two messages,
// each answered in two parts.
func fair() (h history, turns [2]uuid.UUID) {
	l := &line{name: "fair", ends: []ending{replied}}
	h = history{chats: map[string][]*said{}, records: map[string]record{}, parts: map[uuid.UUID]part{}, shown: make([]shown, 1),
		told: []string{"e1", "e2", "e3"}, logged: []string{"e1", "e2", "e3"}}
	for i := range turns {
		turns[i] = uuid.New()
		s := &said{line: l, chat: "c1", id: []string{"m1", "m2"}[i], message: uuid.NewString(), at: time.Now()}
		s.text = "[" + s.id + "]"
		h.chats["c1"] = append(h.chats["c1"], s)
		h.records[s.message] = record{Status: "answered", Turn: &turns[i], State: "answered", Outcome: "answered", Parts: 2, Sent: 2, All: 2}
		for n, text := range strings.Split(answerTo(s.text), "\n\n") {
			p := part{ID: uuid.New(), Turn: turns[i], Index: n, Status: "sent", Outcome: "answered"}
			h.parts[p.ID] = p
			c := customtest.Call{At: time.Now(), Message: message.Outbound{ID: p.ID.String(), Key: p.ID.String(), Chat: message.Chat{ID: "c1"},
				Content: message.Content{Text: text}}}
			h.shown[0].bubbles = append(h.shown[0].bubbles, c)
			h.shown[0].calls = append(h.shown[0].calls, c)
		}
	}
	return h, turns
}

// of is the part that a bubble shows.
func (h *history) of(bubble int) uuid.UUID {
	return uuid.MustParse(h.shown[0].bubbles[bubble].Message.ID)
}

func (h *history) becomes(bubble int, change func(p *part)) {
	p := h.parts[h.of(bubble)]
	change(&p)
	h.parts[p.ID] = p
}

func (h *history) ends(place int, change func(r *record)) {
	id := h.chats["c1"][place].message
	r := h.records[id]
	change(&r)
	h.records[id] = r
}

// Every way in which a history can be wrong is a problem; a fair one has none.
func TestTheVerdictOnHistories(t *testing.T) {
	t.Parallel()
	h, _ := fair()
	v := judge(h)
	require.Empty(t, v.problems)
	require.Equal(t, map[ending]int{replied: 2}, v.endings)

	for name, c := range map[string]struct {
		spoil func(h *history)
		says  string
	}{
		"a message is lost":        {func(h *history) { delete(h.records, h.chats["c1"][0].message) }, `ended as "none"`},
		"a message has no outcome": {func(h *history) { h.ends(0, func(r *record) { r.Status, r.Outcome = "processing", "" }) }, `ended as "none"`},
		"it ended in another way":  {func(h *history) { h.ends(1, func(r *record) { r.Status, r.Turn = "denied", nil }) }, `ended as "denied"`},
		"it ended in two ways": {func(h *history) {
			h.ends(1, func(r *record) { r.Turn, r.Status, r.Outcome, r.Unknown = nil, "denied", "unknown", 1 })
		}, ` and as `},
		"an answer is not whole":    {func(h *history) { h.ends(0, func(r *record) { r.Sent = 1 }) }, `ended as "none"`},
		"a letter is open":          {func(h *history) { h.ends(0, func(r *record) { r.Letters = 1 }) }, `ended as "none"`},
		"nobody should have spoken": {func(h *history) { h.chats["c1"][0].untrigger = true }, `ended as "reply"`},
		"a part is seen twice": {func(h *history) { h.shown[0].bubbles = append(h.shown[0].bubbles, h.shown[0].bubbles[3]) },
			"saw part 1 of turn"},
		"a part was never seen":     {func(h *history) { h.shown[0].bubbles = h.shown[0].bubbles[:3] }, "nobody saw it"},
		"an unknown part is seen":   {func(h *history) { delete(h.parts, h.of(2)) }, "which the hub does not know"},
		"nonsense is seen":          {func(h *history) { h.shown[0].bubbles[2].Message.ID = "x" }, "which the hub does not know"},
		"a failed part is seen":     {func(h *history) { h.becomes(1, func(p *part) { p.Status = "failed" }) }, `which is "failed"`},
		"a cancelled part is seen":  {func(h *history) { h.becomes(1, func(p *part) { p.Status, p.Outcome = "cancelled", "interrupted" }) }, `which is "cancelled"`},
		"one key carries two texts": {func(h *history) { h.shown[0].calls[1].Message.Key = h.shown[0].calls[0].Message.Key }, "one key carries"},
		"parts are swapped": {func(h *history) {
			b := h.shown[0].bubbles
			b[0], b[1] = b[1], b[0]
		}, "came after"},
		"answers are swapped": {func(h *history) {
			b := h.shown[0].bubbles
			h.shown[0].bubbles = append(b[2:4:4], b[:2]...)
		}, "came after"},
		"an answer to something else": {func(h *history) {
			h.shown[0].bubbles[0].Message.Content.Text = "first of [m2]"
		}, "answers a turn whose last message is"},
		"something is left open":            {func(h *history) { h.open = []string{"turn x"} }, "left open: turn x"},
		"live, an event was left out":       {func(h *history) { h.told = []string{"e1", "e3"} }, "from number 2 on"},
		"live, the last event was not told": {func(h *history) { h.told = h.told[:2] }, "from number 3 on"},
		"live, an event was told twice":     {func(h *history) { h.told = []string{"e1", "e1", "e2", "e3"} }, "from number 2 on"},
		"live, events were mixed up":        {func(h *history) { h.told = []string{"e1", "e3", "e2"} }, "from number 2 on"},
		"the log differs":                   {func(h *history) { h.differs = []string{"y"} }, "the log disagrees: y"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := fair()
			c.spoil(&h)
			require.Contains(t, strings.Join(judge(h).problems, "\n"), c.says)
		})
	}
}

// Cut off between the platform's taking it and its saying so: that may be.
func TestAPartThatWasCutOffMayBeSeen(t *testing.T) {
	t.Parallel()
	h, _ := fair()
	h.becomes(1, func(p *part) { p.Status, p.Outcome = "unknown", "interrupted" })
	v := judge(h)
	require.Empty(t, v.problems)
	require.Equal(t, 1, v.cutOff)
}

// The queries find what is left open, and where the log tells another story.
func TestTheVerdictOnTables(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.Context(), testkit.Postgres(t), 2)
	require.NoError(t, err)
	t.Cleanup(st.Close)
	g := &ground{t: t, db: st.Pool()}
	require.Empty(t, g.ask(t.Context(), openWork))
	require.Empty(t, g.ask(t.Context(), disagreements))
	id := uuid.NewString
	turn, chat, in := id(), id(), id()
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := st.Pool().Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	exec(`INSERT INTO messages (tenant_id, id, instance_id, channel, chat_id, direction, content, status) VALUES ('default', $1, $2, 'custom', $3, 'inbound', '{}', 'received'),
		('default', $4, $2, 'custom', $3, 'outbound', '{}', 'sent'), ('default', $5, $2, 'custom', $3, 'outbound', '{}', 'failed'), ('default', $6, $2, 'custom', $3, 'outbound', '{}', 'sending')`,
		in, id(), chat, id(), id(), id())
	exec(`INSERT INTO turns (tenant_id, id, instance_id, channel, chat_id, session_key, agent, state, outcome, leader, workflow_id, due_at, first_at, last_at, quiet_at)
		VALUES ('default', $1, $2, 'custom', $3, 's', 'instance', 'answering', '', $4, 'w', $7, $7, $7, $7),
		('default', $5, $2, 'custom', $6, 's', 'instance', 'answered', 'answered', $4, 'w', $7, $7, $7, $7)`, turn, id(), chat, in, id(), id(), time.Now())
	exec(`INSERT INTO chats (tenant_id, id, instance_id, channel, external_id, delivering) VALUES ('default', $1, $2, 'custom', 'c1', $3)`, chat, id(), turn)
	exec(`INSERT INTO dead_letters (tenant_id, id, turn_id, step, error, input) VALUES ('default', $1, $2, 'agent.Reply', 'x', '{}')`, id(), turn)
	exec(`INSERT INTO events (tenant_id, id, type, instance_id, channel, data) VALUES ('default', $1, 'x.y', $1, 'custom', '{}')`, id())
	for queries, all := range map[*map[string]string]string{&openWork: strings.Join(g.ask(t.Context(), openWork), "\n"),
		&disagreements: strings.Join(g.ask(t.Context(), disagreements), "\n")} {
		for what := range *queries {
			require.Contains(t, all, what+": ")
		}
	}
}

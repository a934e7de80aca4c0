package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
)

// toldWithin is how long after everything is quiet who follows the log has
// heard of it.
const toldWithin = 30 * time.Second

// ending is what became of a message.
type ending string

const (
	replied      ending = "reply"
	fellBack     ending = "fallback"
	deadLettered ending = "dead letter"
	unknown      ending = "unknown"
	denied       ending = "denied"
	untriggered  ending = "not triggered"
	none         ending = "none"
)

// record is what the database says of a message and the turn it is in.
type record struct {
	ID                        uuid.UUID
	Status, Decision, Reason  string
	Turn                      *uuid.UUID
	State, Outcome            string
	Letters                   int // open ones of the turn
	Parts, Sent, Unknown, All int // of the turn: what it should have, and its rows
}

// part is one part of a reply as the database has it.
type part struct {
	ID, Turn uuid.UUID
	Index    int
	Status   string
	Outcome  string // of the turn
}

// history is everything that a verdict rests on.
type history struct {
	chats   map[string][]*said // what was acknowledged, in order
	shown   []shown
	records map[string]record  // by message
	parts   map[uuid.UUID]part // by id
	open    []string           // what is not at its end
	differs []string           // where the log tells another story than the tables
	// What one who followed the log live was told, and what it has: ids.
	told, logged []string
}

// shown is what one platform took, and every call that it got.
type shown struct {
	refuses        bool // it also refuses parts for good
	bubbles, calls []customtest.Call
}

// verdict is the look at everything when it is quiet.
type verdict struct {
	history
	endings  map[ending]int
	problems []string
	stories  []*said       // of some that went wrong
	cutOff   int           // parts that were seen, which the hub cannot know
	longest  time.Duration // from the acknowledgement to the last part
	slowest  *said
}

func (v *verdict) problem(format string, args ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// look reads everything.
func look(t *testing.T, g *ground, l *load, w *witness) history {
	t.Helper()
	h := history{chats: l.chats, open: g.open(t.Context()), differs: g.ask(t.Context(), disagreements)}
	for _, line := range l.lines {
		h.shown = append(h.shown, shown{refuses: line.refuses, bubbles: line.seen(), calls: line.out.Calls()})
	}
	h.told, h.logged = w.hears(toldWithin)
	h.read(t, g)
	return h
}

// all is everything that was acknowledged.
func (h *history) all() []*said { return slices.Concat(slices.Collect(maps.Values(h.chats))...) }

// judge checks everything. It rests on the history alone.
func judge(h history) *verdict {
	v := &verdict{history: h, endings: map[ending]int{}}
	for _, s := range v.all() {
		e := v.endingOf(s)
		v.endings[e]++
		if !slices.Contains(s.line.ends, e) || s.untrigger != (e == untriggered) {
			v.problem("%s (%s on %q) ended as %q: %+v", s.id, s.message, s.line.name, e, v.records[s.message])
			if len(v.stories) < 3 {
				v.stories = append(v.stories, s)
			}
		}
	}
	v.seenOnce()
	v.inOrder()
	for _, open := range v.open {
		v.problem("left open: %s", open)
	}
	for _, d := range v.differs {
		v.problem("the log disagrees: %s", d)
	}
	v.asTold()
	slices.Sort(v.problems)
	return v
}

func (h *history) read(t *testing.T, g *ground) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rows, err := g.db.Query(ctx, `SELECT m.id, m.status, coalesce(m.access_decision, ''), m.status_reason, t.id, coalesce(t.state, ''),
			coalesce(t.outcome, ''), (SELECT count(*) FROM dead_letters d WHERE d.turn_id = t.id AND d.status = 'open'),
			coalesce(t.part_count, 0), p.sent, p.unknown, p.all
		FROM messages m LEFT JOIN turns t ON t.id = m.turn_id
		CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE o.status IN ('sent', 'delivered', 'read')) AS sent,
			count(*) FILTER (WHERE o.status = 'unknown') AS unknown, count(*) AS all
			FROM messages o WHERE o.turn_id = t.id AND o.direction = 'outbound') p
		WHERE m.direction = 'inbound'`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[record])
	require.NoError(t, err)
	h.records = map[string]record{}
	for _, r := range list {
		h.records[r.ID.String()] = r
	}
	rows, err = g.db.Query(ctx, `SELECT m.id, m.turn_id, m.part_index, m.status, t.outcome
		FROM messages m JOIN turns t ON t.id = m.turn_id WHERE m.direction = 'outbound'`)
	require.NoError(t, err)
	outbound, err := pgx.CollectRows(rows, pgx.RowToStructByPos[part])
	require.NoError(t, err)
	h.parts = map[uuid.UUID]part{}
	for _, p := range outbound {
		h.parts[p.ID] = p
	}
}

// endingOf is how a message ended: exactly one of the ways, or none.
func (v *verdict) endingOf(s *said) ending {
	r, ok := v.records[s.message]
	whole := r.Sent == r.Parts && r.All == r.Parts && r.Parts > 0
	is := map[ending]bool{
		denied:       r.Status == "denied" && r.Turn == nil,
		untriggered:  r.Status == "ignored" && r.Turn == nil,
		replied:      r.Status == "answered" && r.Outcome == "answered" && whole && r.Letters == 0,
		fellBack:     r.Status == "failed" && r.Outcome == "fallback" && whole,
		deadLettered: r.Status == "failed" && r.Outcome == "failed" && r.Letters > 0 && !whole,
		unknown:      r.Outcome == "unknown" && r.Unknown > 0,
	}
	found := none
	for e, holds := range is {
		if !ok || !holds {
			continue
		}
		if found != none {
			v.problem("%s (%s) ended as %q and as %q", s.id, s.message, found, e)
		}
		found = e
	}
	return found
}

// seenOnce compares what the platforms took with what the hub says it sent.
func (v *verdict) seenOnce() {
	seen := map[uuid.UUID]bool{}
	for _, l := range v.shown {
		for _, c := range l.bubbles {
			id, err := uuid.Parse(c.Message.ID)
			p, known := v.parts[id]
			switch {
			case err != nil || !known:
				v.problem("%s saw %q, which the hub does not know", c.Message.Chat.ID, c.Message.Content.Text)
			case seen[id]:
				v.problem("%s saw part %d of turn %s twice: %q", c.Message.Chat.ID, p.Index, p.Turn, c.Message.Content.Text)
			case p.Outcome == "interrupted" && p.Status == "unknown":
				// Cut off between the platform's taking it and its saying so. What
				// is cancelled was surely never taken.
				v.cutOff++
			case p.Status != "sent" && !l.refuses:
				v.problem("%s saw part %d of turn %s, which is %q", c.Message.Chat.ID, p.Index, p.Turn, p.Status)
			}
			seen[id] = true
		}
		texts := map[string]string{}
		for _, c := range l.calls {
			if text, again := texts[c.Message.Key]; again && text != c.Message.Content.Text {
				v.problem("%s: one key carries %q and %q", c.Message.Chat.ID, text, c.Message.Content.Text)
			}
			texts[c.Message.Key] = c.Message.Content.Text
		}
	}
	for id, p := range v.parts {
		if p.Status == "sent" && !seen[id] {
			v.problem("part %d of turn %s is said to be sent, but nobody saw it", p.Index, p.Turn)
		}
	}
}

// asTold compares what was told live with the log: each event once, in order.
func (v *verdict) asTold() {
	at := 0
	for at < min(len(v.told), len(v.logged)) && v.told[at] == v.logged[at] {
		at++
	}
	if at < max(len(v.told), len(v.logged)) {
		v.problem("of %d events %d were told live, and another one than the log's from number %d on", len(v.logged), len(v.told), at+1)
	}
}

// inOrder checks each chat's bubbles: replies come in the order in which the
// messages came, parts in the order of the reply, and each reply names the
// last message of those it answers.
func (v *verdict) inOrder() {
	for _, l := range v.shown {
		type place struct {
			at, part int
			turn     uuid.UUID
		}
		last := map[string]place{}
		for _, c := range l.bubbles {
			chat := c.Message.Chat.ID
			id, _ := uuid.Parse(c.Message.ID) // one that is none is reported already
			p := v.parts[id]
			at := slices.IndexFunc(v.chats[chat], func(s *said) bool { return s.text == about(c.Message.Content.Text) })
			if at < 0 {
				continue // a fallback, or an answer to what was not acknowledged
			}
			s := v.chats[chat][at]
			if took := c.At.Sub(s.at); took > v.longest {
				v.longest, v.slowest = took, s
			}
			if want := v.lastOf(chat, p.Turn); want >= 0 && at != want {
				v.problem("%s: %q answers a turn whose last message is %s", chat, c.Message.Content.Text, v.chats[chat][want].id)
			}
			if before, ok := last[chat]; ok {
				if at < before.at || p.Turn == before.turn && p.Index <= before.part {
					v.problem("%s: %q came after what answers %s", chat, c.Message.Content.Text, v.chats[chat][before.at].id)
				}
			}
			last[chat] = place{at, p.Index, p.Turn}
		}
	}
}

// lastOf is the place of a turn's last message in its chat, -1 if it has none.
func (v *verdict) lastOf(chat string, turn uuid.UUID) int {
	for i, s := range slices.Backward(v.chats[chat]) {
		if r := v.records[s.message]; r.Turn != nil && *r.Turn == turn {
			return i
		}
	}
	return -1
}

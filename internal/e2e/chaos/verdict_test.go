package chaos

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

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

// verdict is the look at everything when it is quiet.
type verdict struct {
	t        *testing.T
	ground   *ground
	load     *load
	records  map[string]record
	parts    map[uuid.UUID]part // by id
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

// look reads everything and checks it.
func (v *verdict) look() {
	v.t.Helper()
	v.read()
	for _, s := range v.load.all() {
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
	v.nothingOpen()
	v.logAgrees()
	slices.Sort(v.problems)
}

func (v *verdict) read() {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	rows, err := v.ground.db.Query(ctx, `SELECT m.id, m.status, coalesce(m.access_decision, ''), m.status_reason, t.id, coalesce(t.state, ''),
			coalesce(t.outcome, ''), (SELECT count(*) FROM dead_letters d WHERE d.turn_id = t.id AND d.status = 'open'),
			coalesce(t.part_count, 0), p.sent, p.unknown, p.all
		FROM messages m LEFT JOIN turns t ON t.id = m.turn_id
		CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE o.status IN ('sent', 'delivered', 'read')) AS sent,
			count(*) FILTER (WHERE o.status = 'unknown') AS unknown, count(*) AS all
			FROM messages o WHERE o.turn_id = t.id AND o.direction = 'outbound') p
		WHERE m.direction = 'inbound'`)
	require.NoError(v.t, err)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[record])
	require.NoError(v.t, err)
	v.records = map[string]record{}
	for _, r := range list {
		v.records[r.ID.String()] = r
	}
	rows, err = v.ground.db.Query(ctx, `SELECT m.id, m.turn_id, m.part_index, m.status, t.outcome
		FROM messages m JOIN turns t ON t.id = m.turn_id WHERE m.direction = 'outbound'`)
	require.NoError(v.t, err)
	outbound, err := pgx.CollectRows(rows, pgx.RowToStructByPos[part])
	require.NoError(v.t, err)
	v.parts = map[uuid.UUID]part{}
	for _, p := range outbound {
		v.parts[p.ID] = p
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
	for _, l := range v.load.lines {
		for _, c := range l.seen() {
			id, err := uuid.Parse(c.Message.ID)
			p, known := v.parts[id]
			switch {
			case err != nil || !known:
				v.problem("%s saw %q, which the hub does not know", c.Message.Chat.ID, c.Message.Content.Text)
			case seen[id]:
				v.problem("%s saw part %d of turn %s twice: %q", c.Message.Chat.ID, p.Index, p.Turn, c.Message.Content.Text)
			case p.Outcome == "interrupted" && (p.Status == "unknown" || p.Status == "cancelled"):
				// Cut off between the platform's taking it and its saying so.
				v.cutOff++
			case p.Status != "sent" && !l.refuses:
				v.problem("%s saw part %d of turn %s, which is %q", c.Message.Chat.ID, p.Index, p.Turn, p.Status)
			}
			seen[id] = true
		}
		texts := map[string]string{}
		for _, c := range l.out.Calls() {
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

// inOrder checks each chat's bubbles: replies come in the order in which the
// messages came, parts in the order of the reply, and each reply names the
// last message of those it answers.
func (v *verdict) inOrder() {
	v.load.mu.Lock()
	defer v.load.mu.Unlock()
	for _, l := range v.load.lines {
		type place struct {
			at, part int
			turn     uuid.UUID
		}
		last := map[string]place{}
		for _, c := range l.seen() {
			chat, id := c.Message.Chat.ID, uuid.MustParse(c.Message.ID)
			p := v.parts[id]
			at := slices.IndexFunc(v.load.chats[chat], func(s *said) bool { return s.text == about(c.Message.Content.Text) })
			if at < 0 {
				continue // a fallback, or an answer to what was not acknowledged
			}
			s := v.load.chats[chat][at]
			if took := c.At.Sub(s.at); took > v.longest {
				v.longest, v.slowest = took, s
			}
			if want := v.lastOf(chat, p.Turn); want >= 0 && at != want {
				v.problem("%s: %q answers a turn whose last message is %s", chat, c.Message.Content.Text, v.load.chats[chat][want].id)
			}
			if before, ok := last[chat]; ok {
				if at < before.at || p.Turn == before.turn && p.Index <= before.part {
					v.problem("%s: %q came after what answers %s", chat, c.Message.Content.Text, v.load.chats[chat][before.at].id)
				}
			}
			last[chat] = place{at, p.Index, p.Turn}
		}
	}
}

// lastOf is the place of a turn's last message in its chat, -1 if it has none.
func (v *verdict) lastOf(chat string, turn uuid.UUID) int {
	for i, s := range slices.Backward(v.load.chats[chat]) {
		if r := v.records[s.message]; r.Turn != nil && *r.Turn == turn {
			return i
		}
	}
	return -1
}

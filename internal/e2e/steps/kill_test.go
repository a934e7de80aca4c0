package steps

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/omnihub/omni/workflows"
)

// answeredWithin is the promise: answering again this long after a restart.
const answeredWithin = 15 * time.Second

// way is how an instance's messages go through the pipeline.
type way struct {
	name     string
	settings object
	text     string
	want     []string
}

// The echo agent is as quick as a test wants it to be. One part on a channel
// known to be quick is delivered locally, two never are.
var (
	quickWay = way{name: "quick", text: "one", want: []string{"one"},
		settings: object{"agent": object{"provider": "echo", "quick": "always"}}}
	// Access control is on, so that access.Check writes something.
	regularWay = way{name: "regular", text: "one\n\ntwo", want: []string{"one", "two"},
		settings: object{"agent": object{"provider": "echo", "quick": "never"}, "access": object{"mode": "blocklist"}}}
	debouncedWay = way{name: "debounced", text: "one", want: []string{"one"},
		settings: object{"agent": object{"provider": "echo", "quick": "always"},
			"messaging": object{"debounceMode": "fixed", "debounceMs": 150}}}
)

// kill is one death: at the nth time of a moment, on a way. A kill with a
// second moment dies again there while it recovers.
type kill struct {
	way   way
	when  string
	point string
	nth   int
	then  *moment
}

func (k kill) name() string {
	name := fmt.Sprintf("%s %s %s #%d", k.way.name, k.when, k.point, k.nth)
	if k.then != nil {
		name += ", then " + k.then.When + " " + k.then.Point
	}
	return name
}

func kills(w way, nth int, points ...string) []kill {
	var list []kill
	for _, point := range points {
		list = append(list, kill{w, before, point, nth, nil}, kill{w, after, point, nth, nil})
	}
	return list
}

// The hub is killed before and after every step that changes something. The
// cases of a lane follow each other in one hub, each kill into the recovery of
// those before it; after the last, every message has exactly one whole reply.
func TestKillAtEveryStep(t *testing.T) {
	t.Parallel()
	lanes := map[string][]kill{
		"quick, until answered": append(kills(quickWay, 1, "InboundMessage", "JoinTurn", "AnswerTurn"),
			kill{quickWay, after, "ReceiptPart", 1, &moment{When: before, Point: "FinishTurn"}}),
		"quick, delivery": append(append(kills(quickWay, 1, "Send", "ReceiptPart"), kills(debouncedWay, 1, "CloseTurn")...),
			kill{quickWay, after, "ReceiptPart", 1, &moment{When: after, Point: "FinishTurn"}}),
		"regular, first part": append(append(kills(regularWay, 1, "AnswerTurn", "ClaimPart", "Send", "ReceiptPart"),
			kills(regularWay, 1, "JoinTurn")...), kill{regularWay, after, "ReceiptPart", 2, &moment{When: before, Point: "FinishTurn"}}),
		"regular, second part": append(append(kills(regularWay, 2, "ClaimPart", "Send", "ReceiptPart"),
			kills(regularWay, 1, "InboundMessage", "CheckMessage")...), kill{regularWay, after, "ReceiptPart", 2, &moment{When: after, Point: "FinishTurn"}}),
	}
	for name, list := range lanes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runLane(t, list)
		})
	}
}

// lane is a hub that is killed again and again.
type lane struct {
	*child
	lines map[string]*line
	cases []*death
}

// death is a kill with the message it happened to.
type death struct {
	kill
	line    *line
	message uuid.UUID
	chat    string
	resend  bool // the platform got no acknowledgement
}

func runLane(t *testing.T, list []kill) {
	l := &lane{child: newChild(t), lines: map[string]*line{}}
	l.start(t, orders{})
	for _, k := range list {
		if l.lines[k.way.name] == nil {
			l.lines[k.way.name] = l.newLine(t, k.way.settings)
		}
	}
	l.stop()
	for i, k := range list {
		line := l.lines[k.way.name]
		d := &death{kill: k, line: line, chat: fmt.Sprint("c", i), message: line.message(fmt.Sprint("m", i))}
		l.cases = append(l.cases, d)
		l.start(t, orders{Faults: []fault{d.fault(moment{When: k.when, Point: k.point}, k.nth)}})
		l.resend(t)
		if k.way.name == quickWay.name {
			line.warm(t, fmt.Sprint("warm", i))
		}
		// Killed, the hub may or may not have acknowledged.
		_, err := line.SendText(t.Context(), fmt.Sprint("m", i), d.chat, "u-"+d.chat, k.way.text)
		d.resend = err != nil
		l.dies(t, 20*time.Second)
		t.Logf("killed: %s", k.name())
	}
	if last := l.cases[len(l.cases)-1]; last.then != nil {
		l.launch(t, orders{Faults: []fault{last.fault(*last.then, 1)}}) // it may die before it is ready
		l.dies(t, 2*answeredWithin)
	}
	l.start(t, orders{})
	l.resend(t)
	restarted := time.Now()
	for _, d := range l.cases {
		d.line.hears(t, answeredWithin-time.Since(restarted), d.chat, d.way.want...)
	}
	for _, d := range l.cases {
		l.answeredOnce(t, d)
	}
}

func (d *death) fault(m moment, nth int) fault {
	m.Chat, m.Message, m.Platform = d.line.chat(d.chat), d.message, d.chat
	return fault{moment: m, Nth: nth}
}

// resend is the platform's: it brings again what was not acknowledged.
func (l *lane) resend(t *testing.T) {
	t.Helper()
	for i, d := range l.cases {
		if d.resend {
			_, err := d.line.SendText(t.Context(), fmt.Sprint("m", i), d.chat, "u-"+d.chat, d.way.text)
			require.NoError(t, err)
			d.resend = false
		}
	}
}

// answeredOnce checks that a message has had its one reply, whole and in
// order, and left exactly the events of one.
func (s *site) answeredOnce(t *testing.T, d *death) {
	t.Helper()
	s.finished(t, workflows.MessageWorkflowID(d.message))
	name := d.name()
	require.Equal(t, d.way.want, d.line.out.Texts(d.chat), name)
	keys := map[string]string{}
	for _, c := range d.line.out.Calls() {
		if c.Message.Chat.ID != d.chat {
			continue
		}
		if text, again := keys[c.Message.Key]; again {
			require.Equal(t, text, c.Message.Content.Text, "%s: the same key carries the same part", name)
		}
		keys[c.Message.Key] = c.Message.Content.Text
	}
	require.Len(t, keys, len(d.way.want), name)
	require.Equal(t, "answered", s.status(t, d.message), name)
	parts := len(d.way.want)
	require.Equal(t, map[string]int{"message.received": 1, "identity.created": 1, "identity.resolved": 1, "access.checked": 1,
		"turn.started": 1, "agent.request": 1, "agent.response": 1, "message.sending": parts, "message.sent": parts, "turn.completed": 1},
		s.events(t, d.message), name)
	var turns int
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT count(*) FROM turns WHERE chat_id = $1`, d.line.chat(d.chat)).Scan(&turns))
	require.Equal(t, 1, turns, name)
}

func (s *site) status(t *testing.T, message uuid.UUID) (status string) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT status FROM messages WHERE id = $1`, message).Scan(&status))
	return status
}

// events counts the events of a message's correlation by type.
func (s *site) events(t *testing.T, message uuid.UUID) map[string]int {
	t.Helper()
	rows, err := s.db.Query(t.Context(), `SELECT type, count(*) FROM events WHERE correlation_id = $1 GROUP BY type`, message)
	require.NoError(t, err)
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var kind string
		var n int
		require.NoError(t, rows.Scan(&kind, &n))
		counts[kind] = n
	}
	require.NoError(t, rows.Err())
	return counts
}

// finished waits for the end of a workflow and checks that no replay ever
// disagreed with its history.
func (s *site) finished(t *testing.T, workflowID string) {
	t.Helper()
	s.finishedWithin(t, answeredWithin, workflowID)
}

func (s *site) finishedWithin(t *testing.T, within time.Duration, workflowID string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var missing *serviceerror.NotFound
	err := s.temporal.GetWorkflow(ctx, workflowID, "").Get(ctx, nil)
	for ; errors.As(err, &missing); err = s.temporal.GetWorkflow(ctx, workflowID, "").Get(ctx, nil) {
		select { // it is about to be started
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			require.NoError(t, err, workflowID)
		}
	}
	require.NoError(t, err, workflowID)
	for _, e := range s.history(t, workflowID) {
		failure := e.GetWorkflowTaskFailedEventAttributes()
		require.NotEqual(t, enumspb.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR, failure.GetCause(), "%s: %s", workflowID,
			failure.GetFailure().GetMessage())
	}
}

package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
)

const openInbound = "inbound message"

// openWork is what is not at its end; none of it may be left when it is quiet.
var openWork = map[string]string{
	"turn": `SELECT id::text || ' ' || state || ' led by ' || leader || ', held by ' || workflow_id FROM turns
		WHERE state IN ('collecting', 'answering', 'reopened')`,
	openInbound:        `SELECT id::text || ' ' || status || ' ' || external_id FROM messages WHERE direction = 'inbound' AND status IN ('received', 'processing')`,
	"outbound message": `SELECT id::text || ' ' || status FROM messages WHERE direction = 'outbound' AND status IN ('queued', 'sending', 'scheduled')`,
	"delivery":         `SELECT external_id || ' by ' || delivering FROM chats WHERE delivering IS NOT NULL`,
	"event that was not relayed": `SELECT type || ' ' || subject FROM events e WHERE NOT EXISTS (SELECT FROM relay_cursor c
		WHERE (c.xid::xid8, c.seq) >= (e.xid, e.seq))`,
}

// disagreements are the ways in which the log could tell another story than
// the tables: each query names what differs.
var disagreements = map[string]string{
	"messages are received once": `SELECT m.external_id || ': ' || count(e.id) FROM messages m
		LEFT JOIN events e ON e.subject = m.id::text AND e.type = 'message.received' WHERE m.direction = 'inbound'
		GROUP BY m.id, m.external_id HAVING count(e.id) <> 1`,
	"turns are started once": `SELECT t.id::text || ' ' || t.state || ': ' || count(e.id) FROM turns t
		LEFT JOIN events e ON e.type = 'turn.started' AND e.data ->> 'turnId' = t.id::text GROUP BY t.id HAVING count(e.id) <> 1`,
	"turns end once, as their rows say": `SELECT t.id::text || ' ' || t.state || ' ' || t.outcome || ': ' || coalesce(string_agg(e.type || ' ' || (e.data ->> 'outcome'), ', '), 'nothing')
		FROM turns t LEFT JOIN events e ON e.type IN ('turn.completed', 'turn.failed', 'turn.cancelled') AND e.data ->> 'turnId' = t.id::text
		GROUP BY t.id HAVING count(e.id) <> 1 OR min(e.data ->> 'outcome') <> t.outcome
			OR min(e.type) <> CASE t.state WHEN 'answered' THEN 'turn.completed' WHEN 'cancelled' THEN 'turn.cancelled' ELSE 'turn.failed' END`,
	"answers are said once": `SELECT t.id::text || ': ' || count(e.id) FROM turns t
		LEFT JOIN events e ON e.type = 'agent.response' AND e.data ->> 'turnId' = t.id::text
		WHERE t.outcome = 'answered' GROUP BY t.id HAVING count(e.id) <> 1`,
	"parts are sent once": `SELECT m.id::text || ' of ' || m.turn_id || ' is ' || m.status || ': ' || count(e.id) FROM messages m
		LEFT JOIN events e ON e.subject = m.id::text AND e.type = 'message.sent' WHERE m.direction = 'outbound'
		GROUP BY m.id HAVING count(e.id) <> (m.status = 'sent')::int`,
	"parts that failed are said so once": `SELECT m.id::text || ' of ' || m.turn_id || ' is ' || m.status || ': ' || count(e.id) FROM messages m
		LEFT JOIN events e ON e.subject = m.id::text AND e.type = 'message.failed' WHERE m.direction = 'outbound'
		GROUP BY m.id HAVING count(e.id) <> (m.status = 'failed')::int`,
	"dead letters belong to turns that failed": `SELECT d.id::text || ' at ' || d.step || ': ' || coalesce(t.state, 'no turn') FROM dead_letters d
		LEFT JOIN turns t ON t.id = d.turn_id WHERE t.state IS DISTINCT FROM 'failed'`,
}

// open lists what is not at its end.
func (g *ground) open(ctx context.Context) []string {
	list := g.ask(ctx, openWork)
	c, err := g.client()
	if err != nil {
		return append(list, err.Error())
	}
	defer c.Close()
	found, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: `ExecutionStatus = "Running"`, PageSize: 50})
	if err != nil {
		return append(list, "asking Temporal: "+err.Error())
	}
	for _, w := range found.GetExecutions() {
		// The janitor's schedule runs for ever, and the janitor now and then.
		if id := w.GetExecution().GetWorkflowId(); !strings.HasPrefix(id, "temporal-sys-scheduler") && w.GetType().GetName() != "Janitor" {
			list = append(list, "workflow "+id)
		}
	}
	return list
}

func (g *ground) client() (client.Client, error) {
	return client.NewLazyClient(client.Options{HostPort: g.address, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
}

// ask runs queries that name what should not be.
func (g *ground) ask(ctx context.Context, queries map[string]string) (list []string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for what, query := range queries {
		rows, err := g.db.Query(ctx, query)
		if err == nil {
			var found []string
			if found, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
				for _, f := range found {
					list = append(list, what+": "+f)
				}
				continue
			}
		}
		list = append(list, fmt.Sprintf("%s: %v", what, err))
	}
	return list
}

// quiet waits until nothing is under way. A hub on a busy machine may have much
// to catch up with: it fails if for so long nothing has come to its end.
func (g *ground) quiet(within time.Duration) {
	g.t.Helper()
	began, fewest, deadline := time.Now(), math.MaxInt, time.Time{}
	for {
		open := g.open(g.t.Context())
		if len(open) == 0 {
			return
		}
		if len(open) < fewest {
			fewest, deadline = len(open), time.Now().Add(within)
		}
		if time.Now().After(deadline) {
			g.t.Logf("how those went that are left:\n%s", g.storiesOf(open))
			g.t.Fatalf("after %s there is still %d open, and has been for %s, as:\n%s", time.Since(began).Round(time.Second), len(open), within,
				strings.Join(open[:min(20, len(open))], "\n"))
		}
		pause(g.t.Context(), 200*time.Millisecond)
	}
}

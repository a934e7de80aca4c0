package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
)

// story is a message's way as the log and the workflow's history tell it, in
// seconds since it was acknowledged: for people who look for the reason of
// something that took long or went wrong.
func (g *ground) story(s *said) string {
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	rows, err := g.db.Query(ctx, `SELECT e.time, e.type, coalesce(e.data ->> 'step', ''), coalesce(e.data ->> 'attempts', ''), coalesce(e.data ->> 'error', '')
		FROM events e JOIN messages m ON m.id = $1
		WHERE e.correlation_id = m.id OR e.data ->> 'turnId' = m.turn_id::text ORDER BY e.time`, s.message)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var at time.Time
		var kind, step, attempts, failure string
		if err := rows.Scan(&at, &kind, &step, &attempts, &failure); err != nil {
			return err.Error()
		}
		_, _ = fmt.Fprintf(&b, "  %8.3f %-18s %s (attempt %s) %s\n", at.Sub(s.at).Seconds(), kind, step, attempts, failure)
	}
	c, err := g.client()
	if err != nil {
		return b.String()
	}
	defer c.Close()
	events := c.GetWorkflowHistory(ctx, "message/"+s.message, "", false, 0)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			break
		}
		detail := e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() + e.GetWorkflowTaskFailedEventAttributes().GetFailure().GetMessage() +
			e.GetActivityTaskFailedEventAttributes().GetFailure().GetMessage()
		_, _ = fmt.Fprintf(&b, "  %8.3f %s %s\n", e.GetEventTime().AsTime().Sub(s.at).Seconds(), e.GetEventType(), detail)
	}
	return b.String()
}

// storiesOf tells how messages went that are still open, and what the janitor
// made of them.
func (g *ground) storiesOf(open []string) string {
	var b strings.Builder
	told := 0
	for _, what := range open {
		rest, ok := strings.CutPrefix(what, openInbound+": ")
		if id, _, _ := strings.Cut(rest, " "); ok && told < 5 {
			told++
			_, _ = fmt.Fprintf(&b, "%s, in seconds from now:\n%s", what, g.story(&said{message: id, at: time.Now()}))
		}
	}
	c, err := g.client()
	if err != nil {
		return b.String() + err.Error()
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	runs, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: `WorkflowType = "Janitor"`, PageSize: 5})
	if err != nil {
		return b.String() + err.Error()
	}
	for _, run := range runs.GetExecutions() {
		var swept any
		id := run.GetExecution()
		err := c.GetWorkflow(ctx, id.GetWorkflowId(), id.GetRunId()).Get(ctx, &swept)
		_, _ = fmt.Fprintf(&b, "janitor of %s: %s %v %v\n", run.GetStartTime().AsTime().Format(time.TimeOnly), run.GetStatus(), swept, err)
	}
	return b.String()
}

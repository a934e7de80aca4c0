package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"
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

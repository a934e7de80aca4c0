package steps

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// A message sent by API goes the way of a part; signalled and run again, it
// goes out once.
func TestOutboundIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	l := w.newLine(t, nil)
	gate := w.gates.at(moment{When: before, Point: "Send", Platform: "c1"})
	var sent struct{ ID uuid.UUID }
	w.call(t, http.MethodPost, "/api/v1/messages", object{"instanceId": l.id, "to": "c1",
		"content": object{"type": "text", "text": "hello"}}, &sent)
	gate.wait(t)
	id := workflows.OutboundWorkflowID(omni.DefaultTenant, sent.ID)
	require.NoError(t, w.temporal.SignalWorkflow(t.Context(), id, "", "wake", nil))
	gate.release()
	l.hears(t, 10*time.Second, "c1", "hello")
	w.finished(t, id)
	require.Equal(t, "sent", w.status(t, sent.ID))
	require.Len(t, l.out.Calls(), 1)
	w.record(t, workflows.TypeOutbound, "sent", id)
}

package e2e

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/testkit"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/workflows"
)

// historiesInto, if set, is where TestRecordHistories adds what it saw.
var historiesInto = flag.String("histories", "", "directory to record workflow histories into")

// TestRecordHistories takes messages through every way a workflow can go. With
// -histories it adds the histories to those that are replayed for ever.
func TestRecordHistories(t *testing.T) {
	temporalPort := testkit.FreePort(t)
	h := newHub(t, "OMNI_TEMPORAL_PORT="+strconv.Itoa(temporalPort))
	agent := newLLM(t, func(*http.Request, []string) (int, string) { return http.StatusOK, "one\n\ntwo" })
	ids := map[string]string{}

	quick := h.newLine(object{"agent": object{"provider": "echo", "quick": "always"}})
	ids["quick"] = quick.say("m1", "c1", "hello")
	quick.hears(10*time.Second, "c1", 1)

	slow := h.newLine(object{"agent": agent.agent(object{"quick": "never"}), "messaging": object{"debounceMode": "fixed", "debounceMs": 300}})
	ids["debounced-leader"] = slow.say("m1", "c1", "hello")
	ids["follower"] = slow.say("m2", "c1", "there")
	slow.hears(10*time.Second, "c1", 2)

	refused := newLLM(t, func(*http.Request, []string) (int, string) { return http.StatusUnauthorized, "wrong key" })
	broken := h.newLine(object{"agent": refused.agent(object{"quick": "never", "fallbackText": "sorry"})})
	ids["fallback"] = broken.say("m1", "c1", "hello")
	broken.hears(10*time.Second, "c1", 1)

	silent := h.newLine(object{"agent": nil})
	silent.settled(10*time.Second, silent.say("m1", "c1", "hello")) // decided at its recording, without a workflow

	bot := h.newBot("555555555:AAHistoryHistoryHistoryHistoryHis5", nil, nil)
	eva := person(1005, "Eva")
	bot.Say(eva, "hello")
	bot.answers(eva.ID, 1)
	var long struct{ ID, Status string }
	h.call(http.MethodPost, "/api/v1/messages?wait=20", object{"instanceId": bot.id, "to": fmt.Sprint(eva.ID),
		"content": object{"type": "text", "text": strings.Repeat("Some words of a sentence. ", 200)}}, &long)
	require.Equal(t, "sent", long.Status)

	c, err := client.Dial(client.Options{HostPort: fmt.Sprint("127.0.0.1:", temporalPort)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	for name, id := range ids {
		hist := completedHistory(t, c, "message/"+id)
		require.NotEmpty(t, hist.GetEvents())
		if *historiesInto != "" {
			write(t, hist, workflows.TypeMessage, name)
		}
	}
	hist := completedHistory(t, c, workflows.OutboundWorkflowID(omni.DefaultTenant, uuid.MustParse(long.ID)))
	require.NotEmpty(t, hist.GetEvents())
	if *historiesInto != "" {
		write(t, hist, workflows.TypeOutbound, "parts")
	}
}

func completedHistory(t *testing.T, c client.Client, workflowID string) *historypb.History {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.GetWorkflow(ctx, workflowID, "").Get(ctx, nil))
	hist := &historypb.History{}
	events := c.GetWorkflowHistory(ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(t, err)
		hist.Events = append(hist.Events, e)
	}
	return hist
}

// identity is who did something: a process of the machine that recorded, which
// is nobody's business.
var identity = regexp.MustCompile(`"identity": "[^"]*"`)

func write(t *testing.T, hist *historypb.History, kind, name string) {
	t.Helper()
	b, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(hist)
	require.NoError(t, err)
	dir := filepath.Join(*historiesInto, kind)
	require.NoError(t, os.MkdirAll(dir, 0o755)) //nolint:gosec // a directory of the repository
	path := filepath.Join(dir, time.Now().UTC().Format("20060102-1504")+"-"+name+".json")
	b = identity.ReplaceAll(b, []byte(`"identity": "omni"`))
	require.NoError(t, os.WriteFile(path, append(b, '\n'), 0o644)) //nolint:gosec // a file of the repository
}

package chaos

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/e2e/hubtest"
)

// object is a piece of JSON.
type object map[string]any

// line is an instance with the platform behind it.
type line struct {
	*customtest.Client
	name string
	id   uuid.UUID
	out  *customtest.Receiver
	// ends are the ways in which what people write on it may end.
	ends []ending
	// refuses: its platform also refuses parts for good.
	refuses bool
}

// fallback is what people read where the agent was given up.
const fallback = "Sorry, not now."

// newLines makes an instance of each sort.
func (g *ground) newLines(a *agent) []*line {
	g.t.Helper()
	ai := func(extra object) object {
		return hubtest.AgentAt(a.URL, extra)
	}
	impatient := object{"timeoutSeconds": 2, "retryForSeconds": 3}
	sorry := maps.Clone(impatient)
	sorry["fallbackText"] = fallback
	always := []ending{replied, untriggered}
	return []*line{
		g.newLine("echo", always, object{}),
		g.newLine("agent", always, object{"agent": ai(nil)}),
		g.newLine("debounced", always, object{"agent": ai(nil), "messaging": object{"debounceMode": "fixed", "debounceMs": 400}}),
		g.newLine("interrupted", always, object{"agent": ai(nil), "messaging": object{"whenBusy": "interrupt", "splitDelayMs": 250}}),
		g.newLine("fallback", []ending{replied, fellBack, untriggered}, object{"agent": ai(sorry)}),
		g.newLine("refused", []ending{replied, deadLettered, untriggered}, object{"agent": ai(impatient)}),
		g.newLine("denied", []ending{denied}, object{"access": object{"mode": "allowlist"}}),
	}
}

func (g *ground) newLine(name string, ends []ending, settings object) *line {
	g.t.Helper()
	secret := customtest.NewSecret()
	out, err := customtest.NewReceiver(secret)
	require.NoError(g.t, err)
	g.t.Cleanup(out.Close)
	body := object{"name": name, "channel": "custom", "channelConfig": object{"secret": secret, "callbackUrl": out.URL()},
		"agent": object{"provider": "echo"}}
	maps.Copy(body, settings)
	var created struct{ ID uuid.UUID }
	g.api().Call(g.t, http.MethodPost, "/api/v1/instances", body, &created)
	return &line{name: name, id: created.ID, out: out, ends: ends, refuses: name == "refused",
		Client: &customtest.Client{URL: g.url("/webhook/custom/" + created.ID.String()), Secret: secret,
			HTTP: &http.Client{Timeout: 10 * time.Second}}}
}

// seen are the parts that the platform took, each key once.
func (l *line) seen() []customtest.Call {
	return slices.DeleteFunc(l.out.Bubbles(), func(c customtest.Call) bool { return c.Message.Kind != message.KindMessage })
}

// pause waits, or until ctx is over.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

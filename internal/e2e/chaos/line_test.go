package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
	"github.com/omnihub/omni/channels/message"
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
		all := object{"provider": "openai", "apiUrl": a.URL + "/v1", "apiKey": "sk-test", "model": "test"}
		maps.Copy(all, extra)
		return all
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
	g.call(http.MethodPost, "/api/v1/instances", body, &created)
	return &line{name: name, id: created.ID, out: out, ends: ends, refuses: name == "refused",
		Client: &customtest.Client{URL: g.url("/webhook/custom/" + created.ID.String()), Secret: secret,
			HTTP: &http.Client{Timeout: 10 * time.Second}}}
}

// seen are the parts that the platform took, each key once.
func (l *line) seen() []customtest.Call {
	return slices.DeleteFunc(l.out.Bubbles(), func(c customtest.Call) bool { return c.Message.Kind != message.KindMessage })
}

// call uses the API with the bootstrap key and decodes "data" into out.
func (g *ground) call(method, path string, body, out any) {
	g.t.Helper()
	b, err := json.Marshal(body)
	require.NoError(g.t, err)
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url(path), bytes.NewReader(b))
	require.NoError(g.t, err)
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(g.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(g.t, err)
	require.Less(g.t, resp.StatusCode, 300, "%s %s: %s", method, path, raw)
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	require.NoError(g.t, json.Unmarshal(raw, &envelope), string(raw))
	require.NoError(g.t, json.Unmarshal(envelope.Data, out), string(raw))
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

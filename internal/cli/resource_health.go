package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

// healthCommand asks a hub for its parts; a part that is down is a failure.
func healthCommand(env Env) *cobra.Command {
	return verb{
		use: "health", short: "Ask a running hub whether all its parts work",
		run: func(c *call, _ []string) error {
			req, err := http.NewRequestWithContext(c, http.MethodGet, c.base+"/readyz", nil)
			if err != nil {
				return fmt.Errorf("--url %s is not a URL", c.base)
			}
			resp, err := c.http.Do(req)
			if err != nil {
				return c.unreachable(c, err)
			}
			defer func() { _ = resp.Body.Close() }()
			var ready struct {
				Status string           `json:"status"`
				Parts  []map[string]any `json:"parts"`
			}
			raw, err := io.ReadAll(resp.Body)
			if err != nil || json.Unmarshal(raw, &ready) != nil || ready.Status == "" {
				return fmt.Errorf("%s does not answer like an Omni hub", c.base)
			}
			rows, err := json.Marshal(ready.Parts)
			if err != nil {
				return err
			}
			if c.json {
				err = c.raw(json.RawMessage(raw))
			} else {
				err = c.table(&envelope{Data: rows}, []column{{"PART", "name"}, {"STATUS", "status"}, {"ERROR", "error"}})
			}
			if err != nil {
				return err
			}
			if resp.StatusCode != http.StatusOK {
				return errors.New("the hub is not ready")
			}
			return nil
		},
	}.command(env)
}

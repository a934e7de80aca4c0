package cli

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/omnihub/omni/channels"
)

func channelsCommand(env Env) *cobra.Command {
	return resource("channels", "The platforms that this hub speaks", verb{
		use: "list", short: "List channels with the fields of their channelConfig",
		run: func(c *call, _ []string) error {
			env, err := c.request(c, http.MethodGet, "/api/v1/channels", nil, nil)
			if err != nil || c.json {
				if err == nil {
					err = c.object(env)
				}
				return err
			}
			var infos []channels.Info
			if err := json.Unmarshal(env.Data, &infos); err != nil {
				return err
			}
			rows := make([]map[string]any, 0, len(infos))
			for _, i := range infos {
				var fields []string
				for _, f := range i.Config {
					if f.Required {
						f.Name += " (required)"
					}
					fields = append(fields, f.Name)
				}
				rows = append(rows, map[string]any{"type": i.Type, "name": i.Name, "config": strings.Join(fields, ", ")})
			}
			if env.Data, err = json.Marshal(rows); err != nil {
				return err
			}
			return c.table(env, []column{{"CHANNEL", "type"}, {"NAME", "name"}, {"CHANNELCONFIG", "config"}})
		},
	}.command(env))
}

package cli

import (
	"net/http"

	"github.com/spf13/cobra"
)

const keysPath = "/api/v1/keys"

func keysCommand(env Env) *cobra.Command {
	return resource("keys", "API keys",
		list(env, "List keys, without the keys themselves", keysPath, nil, []column{{"ID", "id"}, {"NAME", "name"},
			{"BEGINS", "prefix"}, {"SCOPES", "scopes"}, {"EXPIRES", "expiresAt"}, {"LAST USED", "lastUsedAt"}}),
		verb{
			use: "create", short: "Create a key; it is shown this once", required: []string{"name", "scope"},
			long: "  omni keys create --name crm --scope messages:read,messages:write",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().String("name", "", "for people")
				cmd.Flags().StringSlice("scope", nil, "<resource>:read, <resource>:write or admin (repeated, or separated by commas)")
				cmd.Flags().StringSlice("instance", nil, "only for these instances")
				cmd.Flags().String("expires", "", "when it ends (RFC 3339)")
			},
			run: func(c *call, _ []string) error {
				scopes, _ := c.cmd.Flags().GetStringSlice("scope")
				body := map[string]any{"name": c.text("name"), "scopes": scopes}
				if instances, _ := c.cmd.Flags().GetStringSlice("instance"); len(instances) > 0 {
					body["instanceIds"] = instances
				}
				if at := c.text("expires"); at != "" {
					body["expiresAt"] = at
				}
				env, err := c.request(c, http.MethodPost, keysPath, nil, body)
				if err != nil {
					return err
				}
				return c.object(env)
			},
		}.command(env),
		act(env, "delete", "End a key", http.MethodDelete, keysPath+"/{id}", "Ended %s"),
	)
}

package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

const keysPath = "/api/v1/keys"

func keysCommand(env Env) *cobra.Command {
	return resource("keys", "API keys",
		list(env, "List keys, without the keys themselves", keysPath, nil, []column{{"ID", "id"}, {"NAME", "name"},
			{"BEGINS", "prefix"}, {"SCOPES", "scopes"}, {"EXPIRES", "expiresAt"}, {"LAST USED", "lastUsedAt"}}),
		verb{
			use: "create", short: "Create a key; it is shown this once", required: []string{"name", "scope"},
			long: "  omni keys create --name crm --scope messages:read,messages:write\n" +
				"  omni keys create --name acme --scope admin --tenant acme",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().String("name", "", "for people")
				cmd.Flags().StringSlice("scope", nil, "<resource>:read, <resource>:write or admin (repeated, or separated by commas)")
				cmd.Flags().StringSlice("instance", nil, "only for these instances")
				cmd.Flags().String("expires", "", "when it ends (RFC 3339)")
				cmd.Flags().String("tenant", "", "whose key it will be; made with its first key (only for an admin key of tenant default)")
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
				if tenant := c.text("tenant"); tenant != "" {
					body["tenant"] = tenant
				}
				env, err := c.request(c, http.MethodPost, keysPath, nil, body)
				if err != nil {
					return err
				}
				return c.object(env)
			},
		}.command(env),
		act(env, "delete", "End a key", http.MethodDelete, keysPath+"/{id}", "Ended %s"),
		act(env, "rotate", "Give a key another secret; it is shown this once, the old one ends", http.MethodPost, keysPath+"/{id}/rotate", ""),
		auditKeyCommand(env),
	)
}

func auditKeyCommand(env Env) *cobra.Command {
	columns := []column{{"AT", "createdAt"}, {"METHOD", "method"}, {"PATH", "path"}, {"STATUS", "status"}, {"FROM", "address"},
		{"REQUEST", "requestId"}}
	return verb{
		use: "audit <id>", short: "List what was done with a key, newest first", args: cobra.ExactArgs(1), flags: pageFlags,
		run: func(c *call, args []string) error {
			return c.list(keysPath+"/"+url.PathEscape(args[0])+"/audit", nil, columns)
		},
	}.command(env)
}

func tenantsCommand(env Env) *cobra.Command {
	return resource("tenants", "those who share the hub",
		list(env, "List tenants; one is made with its first key (omni keys create --tenant)", "/api/v1/tenants", nil,
			[]column{{"NAME", "name"}, {"CREATED", "createdAt"}}))
}

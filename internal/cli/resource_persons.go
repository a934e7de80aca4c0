package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

const personsPath = "/api/v1/persons"

var (
	personColumns = []column{{"ID", "id"}, {"NAME", "displayName"}, {"PHONE", "phone"}, {"EMAIL", "email"}, {"SINCE", "createdAt"}}

	accountColumns = []column{{"ID", "id"}, {"CHANNEL", "channel"}, {"ACCOUNT", "platformUserId"}, {"NAME", "name"}, {"USERNAME", "username"},
		{"PHONE", "phone"}, {"LAST SEEN", "lastSeenAt"}, {"INSTANCE", "instanceId"}}

	timelineFilters = []filterFlag{{"instance", "instanceId", "only of this instance"}, {"chat", "chatId", "only of this chat"},
		{"type", "type", "only this content: text, image, audio, …"}, {"direction", "direction", "inbound or outbound"},
		{"since", "since", "only from this time on (RFC 3339)"}, {"until", "until", "only before this time (RFC 3339)"}}
)

func personsCommand(env Env) *cobra.Command {
	return resource("persons", "People, whatever accounts they write from",
		list(env, "Search persons, the best match first; without --query: newest first", personsPath, []filterFlag{
			{"query", "q", "parts of a name, username, phone, e-mail or account"}, {"instance", "instanceId", "only of this instance"}}, personColumns),
		act(env, "get", "Read a person with their accounts", http.MethodGet, personsPath+"/{id}", ""),
		timelineCommand(env),
		verb{
			use: "identities <id>", short: "List a person's accounts, the last used first", args: cobra.ExactArgs(1),
			run: func(c *call, args []string) error {
				return c.list(personsPath+"/"+url.PathEscape(args[0])+"/identities", nil, accountColumns)
			},
		}.command(env),
	)
}

func timelineCommand(env Env) *cobra.Command {
	return verb{
		use: "timeline <id>", short: "List everything said by a person and to them, on all channels, newest first", args: cobra.ExactArgs(1),
		flags: func(cmd *cobra.Command) {
			pageFlags(cmd)
			for _, f := range timelineFilters {
				cmd.Flags().String(f.flag, "", f.help)
			}
		},
		run: func(c *call, args []string) error {
			return c.list(personsPath+"/"+url.PathEscape(args[0])+"/timeline", timelineFilters, messageColumns)
		},
	}.command(env)
}

package cli

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

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
		updatePersonCommand(env), timelineCommand(env),
		act(env, "presence", "Tell whether a person is there now, and when they last were", http.MethodGet, personsPath+"/{id}/presence", ""),
		verb{
			use: "identities <id>", short: "List a person's accounts, the last used first", args: cobra.ExactArgs(1),
			run: func(c *call, args []string) error {
				return c.list(personsPath+"/"+url.PathEscape(args[0])+"/identities", nil, accountColumns)
			},
		}.command(env),
	)
}

func updatePersonCommand(env Env) *cobra.Command {
	texts := map[string]string{"name": "displayName", "phone": "phone", "email": "email", "notes": "notes", "preferred": "preferredIdentityId"}
	return verb{
		use: "update <id>", short: "Change what is said of a person", args: cobra.ExactArgs(1),
		long: "  omni persons update <id> --name 'Ana Souza' --phone +5511987654321 --label vip --label press\n" +
			"  omni persons update <id> --preferred \"\"       messages go to the account last used again",
		flags: func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.String("name", "", "what they are called")
			f.String("phone", "", "phone number with the country's code")
			f.String("email", "", "e-mail address")
			f.String("notes", "", "for people")
			f.StringArray("label", nil, "all of their labels; \"\" alone for none")
			f.String("preferred", "", "the account (of omni persons identities) that messages go to")
		},
		run: func(c *call, args []string) error {
			body := map[string]any{}
			for flag, field := range texts {
				if c.cmd.Flags().Changed(flag) {
					body[field] = c.text(flag)
				}
			}
			if c.cmd.Flags().Changed("label") {
				labels, _ := c.cmd.Flags().GetStringArray("label")
				body["labels"] = slices.DeleteFunc(labels, func(l string) bool { return l == "" })
			}
			if len(body) == 0 {
				return errors.New("say what to change: --name, --phone, --email, --notes, --label or --preferred")
			}
			env, err := c.request(c, http.MethodPatch, personsPath+"/"+url.PathEscape(args[0]), nil, body)
			if err != nil {
				return err
			}
			return c.object(env)
		},
	}.command(env)
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

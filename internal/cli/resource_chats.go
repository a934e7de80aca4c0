package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

const chatsPath = "/api/v1/chats"

func chatsCommand(env Env) *cobra.Command {
	return resource("chats", "Conversations",
		list(env, "List chats, newest first", chatsPath, append([]filterFlag{{"type", "type", "dm or group"}}, ownerFilters...),
			[]column{{"ID", "id"}, {"CHANNEL", "channel"}, {"TYPE", "type"}, {"NAME", "name|externalId"}, {"PAUSED", "paused"},
				{"SINCE", "createdAt"}}),
		act(env, "get", "Read a chat", http.MethodGet, chatsPath+"/{id}", ""),
		verb{
			use: "messages <id>", short: "List a chat's messages, newest first", args: cobra.ExactArgs(1), flags: pageFlags,
			run: func(c *call, args []string) error {
				return c.list(chatsPath+"/"+url.PathEscape(args[0])+"/messages", nil, messageColumns)
			},
		}.command(env),
	)
}

func personsCommand(env Env) *cobra.Command {
	const path = "/api/v1/persons"
	return resource("persons", "People, whatever accounts they write from",
		list(env, "Search persons, newest first", path, []filterFlag{{"query", "q", "part of a name, phone, email or account"},
			{"instance", "instanceId", "only of this instance"}},
			[]column{{"ID", "id"}, {"NAME", "displayName"}, {"PHONE", "phone"}, {"EMAIL", "email"}, {"SINCE", "createdAt"}}),
		act(env, "get", "Read a person with their accounts", http.MethodGet, path+"/{id}", ""),
	)
}

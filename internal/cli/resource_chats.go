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
		verb{
			use: "takeover <id>", short: "Take a chat over: the agent is silent", args: cobra.ExactArgs(1),
			flags: func(cmd *cobra.Command) {
				cmd.Flags().Int("seconds", 0, "for how long (default: until resumed)")
				cmd.Flags().String("reason", "", "why, for people")
			},
			run: func(c *call, args []string) error {
				body := map[string]any{}
				if n, _ := c.cmd.Flags().GetInt("seconds"); n != 0 {
					body["untilSeconds"] = n
				}
				if reason, _ := c.cmd.Flags().GetString("reason"); reason != "" {
					body["reason"] = reason
				}
				env, err := c.request(c, http.MethodPost, chatsPath+"/"+url.PathEscape(args[0])+"/takeover", nil, body)
				if err != nil {
					return err
				}
				return c.object(env)
			},
		}.command(env),
		act(env, "reset", "Begin the conversation with the agent anew", http.MethodPost, chatsPath+"/{id}/reset", ""),
		act(env, "resume", "Let the agent answer again", http.MethodPost, chatsPath+"/{id}/resume", ""),
	)
}

package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

const agentsPath = "/api/v1/agents"

func agentsCommand(env Env) *cobra.Command {
	return resource("agents", "Agents that instances and routes may name",
		list(env, "List agents", agentsPath, nil, []column{{"ID", "id"}, {"NAME", "name"}, {"PROVIDER", "provider"}, {"MODEL", "model"},
			{"HEALTH", "health.status"}, {"P95 MS", "health.p95Ms"}, {"LAST ERROR", "health.lastError"}}),
		act(env, "get", "Read an agent, and how it did of late", http.MethodGet, agentsPath+"/{id}", ""),
		verb{
			use: "create", short: "Create an agent", flags: agentFlags,
			long: "Creates an agent that instances (agentId) and routes may name.\n\n" +
				"  omni agents create --name sales --provider openai --set model=gpt-4o-mini --set apiKey=$KEY\n" +
				"  omni agents create --name desk --provider webhook --set apiUrl=https://desk.example/agent",
			run: func(c *call, _ []string) error { return c.sendAgent(http.MethodPost, agentsPath) },
		}.command(env),
		verb{
			use: "update <id>", short: "Change an agent", args: cobra.ExactArgs(1), flags: agentFlags,
			long: "Changes what is given and leaves the rest; it holds for the next turn.\n\n  omni agents update <id> --set model=gpt-4.1 --set gate=null",
			run: func(c *call, args []string) error {
				return c.sendAgent(http.MethodPatch, agentsPath+"/"+url.PathEscape(args[0]))
			},
		}.command(env),
		act(env, "delete", "Delete an agent that no route and no instance names", http.MethodDelete, agentsPath+"/{id}", "Deleted %s"),
		verb{
			use: "test <id> <text>", short: "Ask an agent something; nothing is kept of it", args: cobra.ExactArgs(2),
			run: func(c *call, args []string) error {
				env, err := c.request(c, http.MethodPost, agentsPath+"/"+url.PathEscape(args[0])+"/test", nil, map[string]any{"text": args[1]})
				if err != nil {
					return err
				}
				return c.object(env)
			},
		}.command(env),
	)
}

func agentFlags(cmd *cobra.Command) {
	cmd.Flags().String("name", "", "for people")
	cmd.Flags().String("provider", "", "who answers: echo, openai, …")
	cmd.Flags().StringArray("set", nil, "any field by its path: model=m1, gate.mode=rule (repeated)")
	cmd.Flags().String("file", "", "a file with the agent as JSON, - for standard input; flags go on top")
}

// sendAgent puts file and flags together and sends them.
func (c *call) sendAgent(method, path string) error {
	body := map[string]any{}
	if file := c.text("file"); file != "" {
		if err := readJSON(c.cmd.InOrStdin(), file, &body); err != nil {
			return err
		}
	}
	for _, flag := range []string{"name", "provider"} {
		if v := c.text(flag); v != "" {
			body[flag] = v
		}
	}
	set, _ := c.cmd.Flags().GetStringArray("set")
	for _, pair := range set {
		path, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("--set %s: write path=value", path)
		}
		if err := setPath(body, path, jsonOrText(value)); err != nil {
			return err
		}
	}
	env, err := c.request(c, method, path, nil, body)
	if err != nil {
		return err
	}
	return c.object(env)
}

// routeSubject are the flags that say whom a route is for, by parameter.
var routeSubject = map[string]string{"chat": "chatId", "person": "personId", "chat-type": "chatType"}

func routeFlags(cmd *cobra.Command) {
	cmd.Flags().String("chat", "", "of this chat (id)")
	cmd.Flags().String("person", "", "of this person (id)")
	cmd.Flags().String("chat-type", "", "of all chats of that type: dm or group")
}

func routesCommand(env Env) *cobra.Command {
	path := func(instance string) string { return instancesPath + "/" + url.PathEscape(instance) + "/routes" }
	columns := []column{{"ID", "id"}, {"AGENT", "agentId"}, {"CHAT", "chatId"}, {"PERSON", "personId"}, {"CHATS", "chatType"}, {"PRIORITY", "priority"}}
	return resource("routes", "Which agent answers which chats of an instance",
		verb{
			use: "list <instance>", short: "List an instance's routes, in the order in which they are looked at", args: cobra.ExactArgs(1),
			run: func(c *call, args []string) error { return c.list(path(args[0]), nil, columns) },
		}.command(env),
		verb{
			use: "create <instance>", short: "Give a chat, a person, or all groups or dms an agent", args: cobra.ExactArgs(1),
			long:     "  omni routes create <instance> --agent <agent> --person <person>",
			required: []string{"agent"},
			flags: func(cmd *cobra.Command) {
				routeFlags(cmd)
				cmd.Flags().String("agent", "", "who answers (id)")
				cmd.Flags().Int("priority", 0, "among routes by the same: the higher one")
			},
			run: func(c *call, args []string) error {
				body := map[string]any{"agentId": c.text("agent")}
				for flag, field := range routeSubject {
					if v := c.text(flag); v != "" {
						body[field] = v
					}
				}
				if n, _ := c.cmd.Flags().GetInt("priority"); n != 0 {
					body["priority"] = n
				}
				env, err := c.request(c, http.MethodPost, path(args[0]), nil, body)
				if err != nil {
					return err
				}
				return c.object(env)
			},
		}.command(env),
		verb{
			use: "delete <instance> <route>", short: "Delete a route", args: cobra.ExactArgs(2),
			run: func(c *call, args []string) error {
				if _, err := c.request(c, http.MethodDelete, path(args[0])+"/"+url.PathEscape(args[1]), nil, nil); err != nil {
					return err
				}
				return c.say("Deleted %s", args[1])
			},
		}.command(env),
		verb{
			use: "explain <instance>", short: "Say which agent would answer, and why", args: cobra.ExactArgs(1), flags: routeFlags,
			run: func(c *call, args []string) error {
				env, err := c.request(c, http.MethodGet, path(args[0])+"/explain", c.query(routeSubject), nil)
				if err != nil {
					return err
				}
				return c.object(env)
			},
		}.command(env),
	)
}

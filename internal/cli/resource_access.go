package cli

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

const (
	rulesPath    = "/api/v1/access/rules"
	pairingsPath = "/api/v1/access/pairings"
)

func accessCommand(env Env) *cobra.Command {
	return resource("access", "Who may talk to us: rules, checks, strangers",
		resource("rules", "Access rules: list, create, change",
			list(env, "List access rules, newest first", rulesPath, []filterFlag{{"instance", "instanceId", "only of this instance"},
				{"person", "personId", "only about this person"}, {"type", "type", "allow, deny or silent"},
				{"source", "source", "api or pairing"}},
				[]column{{"ID", "id"}, {"TYPE", "type"}, {"INSTANCE", "instanceId"}, {"MATCH", "match"}, {"PRIORITY", "priority"},
					{"EXPIRES", "expiresAt"}, {"REASON", "reason"}}),
			act(env, "get", "Read an access rule", http.MethodGet, rulesPath+"/{id}", ""),
			createRule(env), updateRule(env),
			act(env, "delete", "Delete an access rule", http.MethodDelete, rulesPath+"/{id}", "Deleted %s"),
		),
		checkAccess(env),
		listPairings(env),
		decidePairing(env, "approve", "Let a stranger in by the code they were told"),
		decidePairing(env, "reject", "Reject a stranger"),
	)
}

// ruleFields are the flags of a rule: flag to path in the body.
var ruleFields = []struct{ flag, path, help string }{
	{"type", "type", "allow, deny or silent"},
	{"instance", "instanceId", "only for this instance"},
	{"phone", "match.phone", "a phone number, or a pattern of one (+5511*)"},
	{"user", "match.platformUserId", "the platform's own id of an account, or a pattern"},
	{"handle", "match.handle", "a user name, or a pattern"},
	{"person", "match.personId", "a person"},
	{"chat", "match.chatId", "a chat"},
	{"channel", "match.channel", "a channel's type, or a pattern"},
	{"reason", "reason", "for people"},
	{"notice", "notice", "told to whom the rule denies, once in 24 hours"},
	{"expires", "expiresAt", "when it ends (RFC 3339)"},
}

func ruleFlags(cmd *cobra.Command) {
	for _, f := range ruleFields {
		cmd.Flags().String(f.flag, "", f.help)
	}
	cmd.Flags().Int("priority", 0, "higher goes first")
	cmd.Flags().StringArray("set", nil, "any field by its path: rateLimit.count=5, schedule=null (repeated)")
	cmd.Flags().String("file", "", "a file with the rule as JSON, - for standard input; flags go on top")
}

func createRule(env Env) *cobra.Command {
	return verb{
		use: "create", short: "Create an access rule",
		long: "Creates an access rule; the next message is decided by it.\n\n" +
			"  omni access rules create --type deny --phone '+5511*' --notice 'Not from here.'\n" +
			"  omni access rules create --type allow --set rateLimit.count=5 --set rateLimit.perSeconds=60\n" +
			"  omni access rules create --type silent --user spam-bot --set 'schedule={\"days\":[\"sat\",\"sun\"]}'",
		flags: ruleFlags,
		run:   func(c *call, _ []string) error { return c.sendRule(http.MethodPost, rulesPath) },
	}.command(env)
}

func updateRule(env Env) *cobra.Command {
	return verb{
		use: "update <id>", short: "Change an access rule", args: cobra.ExactArgs(1),
		long:  "Changes what is given and leaves the rest.\n\n  omni access rules update <id> --priority 5 --set expiresAt=null",
		flags: ruleFlags,
		run: func(c *call, args []string) error {
			return c.sendRule(http.MethodPatch, rulesPath+"/"+url.PathEscape(args[0]))
		},
	}.command(env)
}

// sendRule puts file and flags together and sends them.
func (c *call) sendRule(method, path string) error {
	body := map[string]any{}
	if file := c.text("file"); file != "" {
		if err := readJSON(c.cmd.InOrStdin(), file, &body); err != nil {
			return err
		}
	}
	for _, f := range ruleFields {
		if !c.cmd.Flags().Changed(f.flag) {
			continue
		}
		if err := setPath(body, f.path, c.text(f.flag)); err != nil {
			return err
		}
	}
	if c.cmd.Flags().Changed("priority") {
		body["priority"], _ = c.cmd.Flags().GetInt("priority")
	}
	if err := c.setPaths(body); err != nil {
		return err
	}
	env, err := c.request(c, method, path, nil, body)
	if err != nil {
		return err
	}
	return c.object(env)
}

func checkAccess(env Env) *cobra.Command {
	return verb{
		use: "check", short: "Explain how a message of somebody would be decided about", required: []string{"instance"},
		long: "  omni access check --instance <id> --phone +5511987654321 --at 2026-12-24T20:00:00Z",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().String("instance", "", "which instance they write to")
			for _, f := range checkFields {
				cmd.Flags().String(f.flag, "", f.help)
			}
		},
		run: func(c *call, _ []string) error {
			body := map[string]any{"instanceId": c.text("instance")}
			for _, f := range checkFields {
				if v := c.text(f.flag); v != "" {
					body[f.param] = v
				}
			}
			env, err := c.request(c, http.MethodPost, "/api/v1/access/check", nil, body)
			if err != nil {
				return err
			}
			return c.object(env)
		},
	}.command(env)
}

var checkFields = []filterFlag{{"user", "platformUserId", "the platform's own id of the account"}, {"phone", "phone", "with the country's code"},
	{"person", "personId", "a person"}, {"handle", "handle", "of an account that is not known yet"},
	{"chat", "chatId", "where (default: a direct chat)"}, {"at", "at", "when, RFC 3339 (default: now)"}}

func listPairings(env Env) *cobra.Command {
	filters := []filterFlag{{"instance", "instanceId", "only of this instance"}, {"status", "status", "open, approved, rejected or expired"}}
	return verb{
		use: "pairings", short: "List strangers who were given a code, newest first",
		flags: func(cmd *cobra.Command) {
			pageFlags(cmd)
			for _, f := range filters {
				cmd.Flags().String(f.flag, "", f.help)
			}
		},
		run: func(c *call, _ []string) error {
			return c.list(pairingsPath, filters, []column{{"ID", "id"}, {"CODE", "code"}, {"STATUS", "status"}, {"INSTANCE", "instanceId"},
				{"ACCOUNT", "platformUserId"}, {"NAME", "name"}, {"EXPIRES", "expiresAt"}})
		},
	}.command(env)
}

// decidePairing makes the verb for one stranger, by code or by id.
func decidePairing(env Env, action, short string) *cobra.Command {
	return verb{
		use: action + " [<code>]", short: short, args: cobra.MaximumNArgs(1),
		long: short + ".\n\n  omni access " + action + " K7QM-2XPA\n  omni access " + action + " --id <pairing>",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().String("id", "", "the pairing, instead of the code")
			cmd.Flags().String("instance", "", "where the stranger wrote")
		},
		run: func(c *call, args []string) error {
			body := map[string]any{"action": action}
			if len(args) == 1 {
				body["code"] = args[0]
			}
			for flag, field := range map[string]string{"id": "id", "instance": "instanceId"} {
				if v := c.text(flag); v != "" {
					body[field] = v
				}
			}
			if (body["code"] == nil) == (body["id"] == nil) {
				return &usageError{errors.New("give a code or --id")}
			}
			env, err := c.request(c, http.MethodPost, pairingsPath, nil, body)
			if err != nil {
				return err
			}
			return c.object(env)
		},
	}.command(env)
}

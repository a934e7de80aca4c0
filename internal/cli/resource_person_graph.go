package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

const (
	suggestionsPath = personsPath + "/suggestions"
	mergesPath      = "/api/v1/merges"
)

// personGraphVerbs are the verbs of persons that change who is who.
func personGraphVerbs(env Env) []*cobra.Command {
	return []*cobra.Command{
		changeCommand(env, "merge <source> <target>", "Make one person of two; the target is kept", personsPath+"/merge",
			"sourcePersonId", "targetPersonId"),
		changeCommand(env, "link <account> <person>", "Make an account a person's", personsPath+"/link", "identityId", "personId"),
		changeCommand(env, "unlink <account>", "Give an account a person of its own", personsPath+"/unlink", "identityId"),
		verb{
			use: "suggestions", short: "List persons that may be one, newest first",
			flags: func(cmd *cobra.Command) {
				pageFlags(cmd)
				for _, f := range suggestionFilters {
					cmd.Flags().String(f.flag, "", f.help)
				}
			},
			run: func(c *call, _ []string) error {
				return c.list(suggestionsPath, suggestionFilters, []column{{"ID", "id"}, {"PERSONS", "personIds"}, {"CONFIDENCE", "confidence"},
					{"STATUS", "status"}, {"SINCE", "createdAt"}})
			},
		}.command(env),
		act(env, "confirm", "Merge the two persons of a suggestion; the elder is kept", http.MethodPost, suggestionsPath+"/{id}/confirm", ""),
		act(env, "dismiss", "Say that the two persons of a suggestion are not one", http.MethodPost, suggestionsPath+"/{id}/dismiss", ""),
	}
}

var suggestionFilters = []filterFlag{{"status", "status", "open (default), confirmed or dismissed"},
	{"person", "personId", "only about this person"}, {"instance", "instanceId", "only about this instance's accounts"}}

func mergesCommand(env Env) *cobra.Command {
	return resource("merges", "What changed who is who: merges, links, unlinks",
		list(env, "List changes, newest first", mergesPath, []filterFlag{{"person", "personId", "only of this person"}},
			[]column{{"ID", "id"}, {"KIND", "kind"}, {"FROM", "sourcePersonId"}, {"TO", "targetPersonId"}, {"BY", "by"}, {"REASON", "reason"},
				{"WHEN", "createdAt"}, {"UNDONE", "undoneAt"}}),
		act(env, "get", "Read a change with its evidence", http.MethodGet, mergesPath+"/{id}", ""),
		act(env, "undo", "Take a change back", http.MethodPost, mergesPath+"/{id}/undo", ""),
	)
}

// changeCommand makes a verb whose arguments are fields of the body.
func changeCommand(env Env, use, short, path string, fields ...string) *cobra.Command {
	return verb{
		use: use, short: short, args: cobra.ExactArgs(len(fields)),
		flags: func(cmd *cobra.Command) { cmd.Flags().String("reason", "", "why, for people") },
		run: func(c *call, args []string) error {
			body := map[string]any{}
			for i, name := range fields {
				body[name] = args[i]
			}
			if reason := c.text("reason"); reason != "" {
				body["reason"] = reason
			}
			env, err := c.request(c, http.MethodPost, path, url.Values{}, body)
			if err != nil {
				return err
			}
			return c.object(env)
		},
	}.command(env)
}

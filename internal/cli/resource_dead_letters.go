package cli

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

const deadLettersPath = "/api/v1/dead-letters"

var deadLetterFilters = append([]filterFlag{{"step", "step", "only of this step (agent.Reply)"},
	{"cause", "cause", "only of this cause, as the list shows it"}}, ownerFilters...)

func deadLettersCommand(env Env) *cobra.Command {
	return resource("dead-letters", "Steps that were given up on: look, retry, resolve",
		list(env, "List dead letters, newest first", deadLettersPath,
			append([]filterFlag{{"status", "status", "open, retried or resolved"}}, deadLetterFilters...),
			[]column{{"ID", "id"}, {"WHEN", "createdAt"}, {"STEP", "step"}, {"CAUSE", "cause"}, {"STATUS", "status"}, {"TRIES", "attempts"},
				{"ERROR", "error"}}),
		act(env, "get", "Read a dead letter with the input of its step", http.MethodGet, deadLettersPath+"/{id}", ""),
		mendCommand(env, "retry", "Go on from the step that failed, without repeating what was delivered"),
		mendCommand(env, "resolve", "Close dead letters without trying again"),
	)
}

// mendCommand makes a verb for one dead letter, or for all that the flags mean.
func mendCommand(env Env, name, short string) *cobra.Command {
	return verb{
		use: name + " [<id>]", short: short, args: cobra.MaximumNArgs(1),
		long: short + ".\n\n  omni dead-letters " + name + " <id>\n  omni dead-letters " + name + " --cause bad_credentials --dry-run\n" +
			"  omni dead-letters " + name + " --all",
		flags: func(cmd *cobra.Command) {
			for _, f := range deadLetterFilters {
				cmd.Flags().String(f.flag, "", f.help)
			}
			cmd.Flags().Bool("all", false, "every open one")
			cmd.Flags().Bool("dry-run", false, "only count")
		},
		run: func(c *call, args []string) error { return c.mend(name, args) },
	}.command(env)
}

func (c *call) mend(name string, args []string) error {
	selection := c.selection()
	if len(args) == 1 {
		if len(selection) > 0 {
			return &usageError{errors.New("give an id or flags that select, not both")}
		}
		env, err := c.request(c, http.MethodPost, deadLettersPath+"/"+url.PathEscape(args[0])+"/"+name, nil, nil)
		if err != nil {
			return err
		}
		return c.object(env)
	}
	if len(selection) == 0 {
		return &usageError{errors.New("give an id, flags that select, or --all")}
	}
	env, err := c.request(c, http.MethodPost, deadLettersPath+"/"+name, nil, selection)
	if err != nil {
		return err
	}
	return c.object(env)
}

// selection is the body that the flags make.
func (c *call) selection() map[string]any {
	body := map[string]any{}
	for _, f := range deadLetterFilters {
		if v := c.text(f.flag); v != "" {
			body[f.param] = v
		}
	}
	for flag, field := range map[string]string{"all": "all", "dry-run": "dryRun"} {
		if on, _ := c.cmd.Flags().GetBool(flag); on {
			body[field] = true
		}
	}
	return body
}

package cli

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// resourceCommands are the API as commands: omni <resource> <verb>.
func resourceCommands(env Env) []*cobra.Command {
	persons := personsCommand(env)
	persons.AddCommand(personGraphVerbs(env)...)
	return []*cobra.Command{
		instancesCommand(env), agentsCommand(env), routesCommand(env), channelsCommand(env), messagesCommand(env), chatsCommand(env), turnsCommand(env),
		persons, mergesCommand(env), eventsCommand(env), keysCommand(env), tenantsCommand(env), deadLettersCommand(env),
		accessCommand(env), healthCommand(env), mediaCommand(env),
	}
}

// call is what a verb of a resource works with.
type call struct {
	context.Context //nolint:containedctx // lives as long as the command

	*apiClient
	*printer
	cmd *cobra.Command
}

// verb is one command of a resource in short. Required flags are checked with
// the arguments, so that a missing one is an error of usage.
type verb struct {
	use      string
	short    string
	long     string
	args     cobra.PositionalArgs
	required []string
	flags    func(*cobra.Command)
	run      func(c *call, args []string) error
}

// resource makes the command of a resource.
func resource(name, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(verbs...)
	return cmd
}

// command makes the command of a verb.
func (v verb) command(env Env) *cobra.Command {
	var base, key string
	var asJSON bool
	if v.args == nil {
		v.args = cobra.NoArgs
	}
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.long,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := v.args(cmd, args); err != nil {
				return err
			}
			for _, name := range v.required {
				if !cmd.Flags().Changed(name) {
					return fmt.Errorf("--%s is required", name)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient(env, base, key)
			if err != nil {
				return err
			}
			return v.run(&call{Context: cmd.Context(), apiClient: c, cmd: cmd,
				printer: &printer{out: cmd.OutOrStdout(), json: asJSON}}, args)
		},
	}
	cmd.Flags().StringVar(&base, "url", "", "the hub's API (default: OMNI_HOST and OMNI_PORT)")
	cmd.Flags().StringVar(&key, "key", "", "API key (default: OMNI_API_KEY, else the one that omni up keeps)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if v.flags != nil {
		v.flags(cmd)
	}
	return cmd
}

// newClient finds the hub and the key: flags, then the environment, then what
// omni up keeps in the data directory.
func newClient(env Env, base, key string) (*apiClient, error) {
	if base == "" || key == "" {
		cfg, err := env.loadConfig()
		if err != nil {
			return nil, err
		}
		if base == "" {
			base = apiURL(cfg)
		}
		if key == "" {
			key = cfg.APIKey
		}
		if key == "" {
			key = keptAPIKey(cfg)
		}
	}
	return &apiClient{base: strings.TrimSuffix(base, "/"), key: key, http: &http.Client{CheckRedirect: noRedirects}}, nil
}

// query collects the flags that were given as parameters: flag to parameter.
func (c *call) query(flags map[string]string) url.Values {
	q := url.Values{}
	for flag, param := range flags {
		f := c.cmd.Flags().Lookup(flag)
		if f == nil || !f.Changed {
			continue
		}
		if list, err := c.cmd.Flags().GetStringSlice(flag); err == nil {
			for _, v := range list {
				q.Add(param, v)
			}
			continue
		}
		q.Set(param, f.Value.String())
	}
	return q
}

// text is the value of a flag.
func (c *call) text(flag string) string {
	v, _ := c.cmd.Flags().GetString(flag)
	return v
}

// pageFlags are the flags of every list.
func pageFlags(cmd *cobra.Command) {
	cmd.Flags().Int("limit", 50, "how many at most, up to 100")
	cmd.Flags().String("cursor", "", "go on from where the page before ended")
}

var pageParams = map[string]string{"limit": "limit", "cursor": "cursor"}

// filterFlag is a flag that narrows a list.
type filterFlag struct{ flag, param, help string }

// list makes the verb list of a resource.
func list(env Env, short, path string, filters []filterFlag, columns []column) *cobra.Command {
	return verb{
		use: "list", short: short,
		flags: func(cmd *cobra.Command) {
			pageFlags(cmd)
			for _, f := range filters {
				cmd.Flags().String(f.flag, "", f.help)
			}
		},
		run: func(c *call, _ []string) error {
			return c.list(path, filters, columns)
		},
	}.command(env)
}

// list asks for a page and prints it.
func (c *call) list(path string, filters []filterFlag, columns []column) error {
	params := maps.Clone(pageParams)
	for _, f := range filters {
		params[f.flag] = f.param
	}
	env, err := c.request(c, http.MethodGet, path, c.query(params), nil)
	if err != nil {
		return err
	}
	return c.table(env, columns)
}

// act makes a verb that names one object: get, delete, connect and the like.
func act(env Env, use, short, method, path, done string) *cobra.Command {
	return verb{
		use: use + " <id>", short: short, args: cobra.ExactArgs(1),
		run: func(c *call, args []string) error {
			env, err := c.request(c, method, strings.ReplaceAll(path, "{id}", url.PathEscape(args[0])), nil, nil)
			if err != nil {
				return err
			}
			if env.Data == nil {
				return c.say(done, args[0])
			}
			return c.object(env)
		},
	}.command(env)
}

package cli

import (
	"github.com/spf13/cobra"

	"github.com/omnihub/omni/internal/config"
)

const rootLong = `Omni is one hub between people on chat platforms and the AI agents that answer them.

  omni up        the whole hub on this machine, nothing else needed
  omni doctor    checks a running hub with a real message
  omni config    the effective settings, and where each comes from

Everything is configured by the environment (or a .env file): see omni config.`

// newRoot builds the command tree. running is set once a command's own code
// begins: an error before that is one of usage.
func newRoot(env Env, running *bool) *cobra.Command {
	root := &cobra.Command{
		Use: "omni", Short: "One hub between chat platforms and AI agents", Long: rootLong,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRun:  func(*cobra.Command, []string) { *running = true },
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.AddCommand(
		newUpCommand(env), newServeCommand(env), newMigrateCommand(env), newDoctorCommand(env),
		newConfigCommand(env), newVersionCommand(),
	)
	root.AddCommand(resourceCommands(env)...)
	return root
}

// loadConfig reads the configuration of env.
func (e Env) loadConfig() (*config.Config, error) { return config.Load(e.Environ, e.DotEnv) }

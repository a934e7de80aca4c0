package cli

import (
	"net/http"

	"github.com/spf13/cobra"
)

func deadLettersCommand(env Env) *cobra.Command {
	const path = "/api/v1/dead-letters"
	return resource("dead-letters", "Steps that were given up on",
		list(env, "List dead letters, newest first", path, append([]filterFlag{{"step", "step", "only of this step (agent.Reply)"},
			{"status", "status", "open, retried or resolved"}}, ownerFilters...),
			[]column{{"ID", "id"}, {"WHEN", "createdAt"}, {"STEP", "step"}, {"STATUS", "status"}, {"TRIES", "attempts"},
				{"ERROR", "error"}}),
		act(env, "get", "Read a dead letter with the input of its step", http.MethodGet, path+"/{id}", ""),
	)
}

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func turnsCommand(env Env) *cobra.Command {
	return resource("turns", "Answers being made",
		verb{
			use: "reply <id>", short: "Answer a turn that a webhook agent has accepted with 202", args: cobra.ExactArgs(1),
			long: "  omni turns reply <id> --text 'Here it is.'\n" +
				"  omni turns reply <id> --parts '[\"Look:\",{\"media\":[{\"type\":\"image\",\"url\":\"https://…\"}]}]'\n" +
				"  omni turns reply <id> --text 'One moment.' --actions '[{\"type\":\"handoff\",\"reason\":\"wants a person\"}]'",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().String("text", "", "what to say")
				cmd.Flags().String("parts", "", "what to say as JSON: a list of strings and content objects")
				cmd.Flags().String("actions", "", "what to do beside it as JSON: a list of actions")
			},
			run: func(c *call, args []string) error {
				body := map[string]any{}
				if c.text("text") != "" && c.text("parts") != "" {
					return errors.New("give --text or --parts, not both")
				}
				if text := c.text("text"); text != "" {
					body["text"] = text
				}
				for _, name := range []string{"parts", "actions"} {
					switch raw := c.text(name); {
					case raw == "":
					case !json.Valid([]byte(raw)):
						return fmt.Errorf("--%s is no JSON", name)
					default:
						body[name] = json.RawMessage(raw)
					}
				}
				if len(body) == 0 {
					return errors.New("--text, --parts or --actions is required")
				}
				env, err := c.request(c, http.MethodPost, "/api/v1/turns/"+url.PathEscape(args[0])+"/reply", nil, body)
				if err != nil {
					return err
				}
				return c.object(env)
			},
		}.command(env),
	)
}

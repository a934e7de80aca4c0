package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func turnsCommand(env Env) *cobra.Command {
	return resource("turns", "Answers being made",
		verb{
			use: "reply <id>", short: "Answer a turn that a webhook agent has accepted with 202", args: cobra.ExactArgs(1),
			long: "  omni turns reply <id> --text 'Here it is.'\n" +
				"  omni turns reply <id> --parts '[\"Look:\",{\"media\":[{\"type\":\"image\",\"url\":\"https://…\"}]}]'",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().String("text", "", "what to say")
				cmd.Flags().String("parts", "", "what to say as JSON: a list of strings and content objects")
			},
			run: func(c *call, args []string) error {
				body := map[string]any{}
				switch text, parts := c.text("text"), c.text("parts"); {
				case text != "" && parts != "":
					return errors.New("give --text or --parts, not both")
				case parts != "":
					if !json.Valid([]byte(parts)) {
						return errors.New("--parts is no JSON")
					}
					body["parts"] = json.RawMessage(parts)
				case text != "":
					body["text"] = text
				default:
					return errors.New("--text or --parts is required")
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

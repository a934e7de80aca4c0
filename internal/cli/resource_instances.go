package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

const instancesPath = "/api/v1/instances"

func instancesCommand(env Env) *cobra.Command {
	return resource("instances", "Connected accounts: create, change, connect",
		list(env, "List instances", instancesPath, []filterFlag{{"channel", "channel", "only of this channel"},
			{"status", "status", "active, inactive, connecting, error or needs_login"}},
			[]column{{"ID", "id"}, {"NAME", "name"}, {"CHANNEL", "channel"}, {"STATUS", "status"}, {"AGENT", "agent.provider"},
				{"REASON", "statusReason"}}),
		act(env, "get", "Read an instance", http.MethodGet, instancesPath+"/{id}", ""),
		createInstance(env),
		updateInstance(env),
		act(env, "delete", "Delete an instance; what it recorded stays", http.MethodDelete, instancesPath+"/{id}", "Deleted %s"),
		act(env, "connect", "Connect an instance", http.MethodPost, instancesPath+"/{id}/connect", ""),
		act(env, "disconnect", "Disconnect an instance until it is connected again", http.MethodPost, instancesPath+"/{id}/disconnect", ""),
		act(env, "restart", "Close an instance's session and open a new one", http.MethodPost, instancesPath+"/{id}/restart", ""),
		act(env, "status", "Read the state of an instance's connection", http.MethodGet, instancesPath+"/{id}/status", ""),
	)
}

func createInstance(env Env) *cobra.Command {
	return verb{
		use: "create", short: "Create an instance", required: []string{"channel"},
		long: "Creates an instance; it connects by itself. omni channels list names each channel's fields.\n\n" +
			"  omni instances create --channel webchat --name support --agent echo\n" +
			"  omni instances create --channel telegram --name bot --config botToken=$BOT_TOKEN \\\n" +
			"      --agent openai --set agent.model=gpt-4o-mini --set messaging.debounceMode=fixed",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().String("channel", "", "custom, webchat, telegram, …")
			instanceFlags(cmd)
		},
		run: func(c *call, _ []string) error {
			body, err := c.instanceBody()
			if err != nil {
				return err
			}
			if body["name"] == nil {
				body["name"] = c.text("channel")
			}
			body["channel"] = c.text("channel")
			return c.sendInstance(http.MethodPost, instancesPath, body)
		},
	}.command(env)
}

func updateInstance(env Env) *cobra.Command {
	return verb{
		use: "update <id>", short: "Change an instance", args: cobra.ExactArgs(1),
		long:  "Changes what is given and leaves the rest.\n\n  omni instances update <id> --set messaging.debounceMs=800 --set agent.fallbackText=null",
		flags: instanceFlags,
		run: func(c *call, args []string) error {
			body, err := c.instanceBody()
			if err != nil {
				return err
			}
			return c.sendInstance(http.MethodPatch, instancesPath+"/"+url.PathEscape(args[0]), body)
		},
	}.command(env)
}

func instanceFlags(cmd *cobra.Command) {
	cmd.Flags().String("name", "", "for people")
	cmd.Flags().StringArray("config", nil, "a field of channelConfig: name=value (repeated)")
	cmd.Flags().String("agent", "", "who answers: echo, openai, …")
	cmd.Flags().StringArray("set", nil, "any field by its path: agent.model=m1, messaging.debounceMs=500, agent=null (repeated)")
	cmd.Flags().String("file", "", "a file with the instance as JSON, - for standard input; flags go on top")
}

func (c *call) sendInstance(method, path string, body map[string]any) error {
	env, err := c.request(c, method, path, nil, body)
	if err != nil {
		return err
	}
	return c.object(env)
}

// instanceBody puts file and flags together.
func (c *call) instanceBody() (map[string]any, error) {
	body := map[string]any{}
	if file := c.text("file"); file != "" {
		if err := readJSON(c.cmd.InOrStdin(), file, &body); err != nil {
			return nil, err
		}
	}
	if name := c.text("name"); name != "" {
		body["name"] = name
	}
	if agent := c.text("agent"); agent != "" {
		if err := setPath(body, "agent.provider", agent); err != nil {
			return nil, err
		}
	}
	config, _ := c.cmd.Flags().GetStringArray("config")
	for _, pair := range config {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("--config %s: write name=value", name)
		}
		if err := setPath(body, "channelConfig."+name, value); err != nil {
			return nil, err
		}
	}
	return body, c.setPaths(body)
}

// setPaths puts what --set says into a body.
func (c *call) setPaths(body map[string]any) error {
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
	return nil
}

// jsonOrText reads numbers, booleans, null, lists and objects as JSON, all
// else as text.
func jsonOrText(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) == nil {
		return v
	}
	return s
}

func setPath(m map[string]any, path string, v any) error {
	keys := strings.Split(path, ".")
	for _, k := range keys[:len(keys)-1] {
		sub, ok := m[k].(map[string]any)
		if !ok {
			if m[k] != nil {
				return fmt.Errorf("--set %s: %s is no object", path, k)
			}
			sub = map[string]any{}
			m[k] = sub
		}
		m = sub
	}
	m[keys[len(keys)-1]] = v
	return nil
}

func readJSON(stdin io.Reader, file string, v any) error {
	var b []byte
	var err error
	if file == "-" {
		b, err = io.ReadAll(stdin)
	} else {
		b, err = os.ReadFile(file)
	}
	if err != nil {
		if path, ok := errors.AsType[*os.PathError](err); ok {
			err = path.Err
		}
		return fmt.Errorf("--file %s: %w", file, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("--file %s: is no JSON object", file)
	}
	return nil
}

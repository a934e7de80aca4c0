package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/omnihub/omni/internal/omni"
)

const messagesPath = "/api/v1/messages"

var (
	messageColumns = []column{{"ID", "id"}, {"WHEN", "sendAt|createdAt"}, {"DIRECTION", "direction"}, {"STATUS", "status"},
		{"WHO", "sender.name|sender.id"}, {"TEXT", "content.text|content.type"}}
	ownerFilters = []filterFlag{{"instance", "instanceId", "only of this instance"}, {"chat", "chatId", "only of this chat"},
		{"person", "personId", "only of this person"}}
)

func messagesCommand(env Env) *cobra.Command {
	return resource("messages", "What was said: send, read, trace",
		sendCommand(env),
		act(env, "get", "Read a message", http.MethodGet, messagesPath+"/{id}", ""),
		list(env, "List messages, newest first", messagesPath, append([]filterFlag{
			{"direction", "direction", "inbound or outbound"}, {"status", "status", "received, answered, sent, failed, …"}},
			ownerFilters...), messageColumns),
		traceCommand(env),
		resolveDeliveryCommand(env),
		act(env, "cancel", "Cancel a scheduled message", http.MethodDelete, messagesPath+"/{id}", "Cancelled %s"),
	)
}

func sendCommand(env Env) *cobra.Command {
	return verb{
		use: "send", short: "Send a message",
		long: "  omni messages send --instance <id> --to <chat id of the platform> --text hello --wait 10\n" +
			"  omni messages send --chat <id> --content '{\"type\":\"image\",\"media\":[{\"url\":\"https://…\"}]}'",
		flags: func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.String("instance", "", "who sends")
			f.String("to", "", "the platform's own chat id")
			f.String("chat", "", "a chat of this hub")
			f.String("person", "", "a person of this hub: to the account that they prefer, or used last")
			f.String("text", "", "what to say")
			f.String("content", "", "what to say as JSON, for other content than text")
			f.String("reply-to", "", "the message that is answered")
			f.String("at", "", "when to send it (RFC 3339)")
			f.String("idempotency-key", "", "the same key with the same message sends once")
			f.Int("wait", 0, "seconds to wait for the outcome, up to 60")
		},
		run: func(c *call, _ []string) error {
			body, err := c.sendBody()
			if err != nil {
				return err
			}
			q := url.Values{}
			if wait, _ := c.cmd.Flags().GetInt("wait"); wait > 0 {
				q.Set("wait", strconv.Itoa(wait))
			}
			var header []string
			if key := c.text("idempotency-key"); key != "" {
				header = []string{"Idempotency-Key", key}
			}
			env, err := c.request(c, http.MethodPost, messagesPath, q, body, header...)
			if err != nil {
				return err
			}
			return c.object(env)
		},
	}.command(env)
}

func (c *call) sendBody() (map[string]any, error) {
	body := map[string]any{}
	for flag, field := range map[string]string{"instance": "instanceId", "to": "to", "chat": "chatId", "person": "personId",
		"reply-to": "replyTo", "at": "sendAt"} {
		if v := c.text(flag); v != "" {
			body[field] = v
		}
	}
	switch content, text := c.text("content"), c.text("text"); {
	case content != "" && text != "":
		return nil, errors.New("give --text or --content, not both")
	case content != "":
		if !json.Valid([]byte(content)) {
			return nil, errors.New("--content is no JSON")
		}
		body["content"] = json.RawMessage(content)
	case text != "":
		body["content"] = map[string]any{"type": "text", "text": text}
	default:
		return nil, errors.New("--text or --content is required")
	}
	return body, nil
}

func traceCommand(env Env) *cobra.Command {
	return verb{
		use: "trace <id>", short: "Follow a message from the webhook to the last receipt", args: cobra.ExactArgs(1),
		run: func(c *call, args []string) error {
			env, err := c.request(c, http.MethodGet, messagesPath+"/"+url.PathEscape(args[0])+"/trace", nil, nil)
			if err != nil {
				return err
			}
			if c.json {
				return c.object(env)
			}
			var t omni.Trace
			if err := json.Unmarshal(env.Data, &t); err != nil {
				return fmt.Errorf("reading a trace: %w", err)
			}
			return c.trace(&t)
		},
	}.command(env)
}

// trace prints the way of a message, each step by its time since the first.
func (p *printer) trace(t *omni.Trace) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "message\t%s\nstatus\t%s\n\nAFTER\tSTEP\tTOOK\tTRIES\tSTATUS\n", t.MessageID, t.Status)
	for _, s := range t.Steps {
		after := float64(s.StartedAt.Sub(t.Steps[0].StartedAt).Microseconds()) / 1000
		_, _ = fmt.Fprintf(w, "%.1f ms\t%s\t%.1f ms\t%d\t%s\n", after, s.Name, s.DurationMs, s.Attempts, cell(s.Status+" "+s.Error))
	}
	_, _ = fmt.Fprintln(w)
	for _, wf := range t.Workflows {
		_, _ = fmt.Fprintf(w, "workflow\t%s\t%s\t%s\n", wf.ID, wf.Status, wf.URL)
	}
	for _, id := range t.Replies {
		_, _ = fmt.Fprintf(w, "reply\t%s\n", id)
	}
	return w.Flush()
}

func resolveDeliveryCommand(env Env) *cobra.Command {
	return verb{
		use: "resolve-delivery <id>", short: "Say what became of a message whose outcome is unknown", args: cobra.ExactArgs(1),
		long: "  omni messages list --status unknown\n  omni messages resolve-delivery <id> --outcome sent|failed|resend",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().String("outcome", "", "sent: it arrived; failed: it did not; resend: send it once more")
			cmd.Flags().String("external-id", "", "with sent: the platform's id of it, if known")
			_ = cmd.MarkFlagRequired("outcome")
		},
		run: func(c *call, args []string) error {
			body := map[string]any{"outcome": c.text("outcome")}
			if id := c.text("external-id"); id != "" {
				body["externalId"] = id
			}
			env, err := c.request(c, http.MethodPost, messagesPath+"/"+url.PathEscape(args[0])+"/resolve-delivery", nil, body)
			if err != nil {
				return err
			}
			return c.object(env)
		},
	}.command(env)
}

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/omni"
)

// The outcomes of a finding.
const (
	findingOK   = "ok"
	findingWarn = "warning"
	findingFail = "failed"
)

// finding is one thing that doctor looked at.
type finding struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warning, failed
	Detail string `json:"detail"`
}

// diagnosis is all that doctor found, and the trace of its message.
type diagnosis struct {
	OK       bool        `json:"ok"`
	Findings []finding   `json:"findings"`
	Trace    *omni.Trace `json:"trace,omitempty"`
}

func (d *diagnosis) add(name, status, detail string) {
	d.Findings = append(d.Findings, finding{name, status, detail})
	if status == findingFail {
		d.OK = false
	}
}

// check adds what fn reports: a detail for people, or why it failed.
func (d *diagnosis) check(name string, fn func() (string, error)) bool {
	detail, err := fn()
	if err != nil {
		d.add(name, findingFail, oneLine(err))
		return false
	}
	d.add(name, findingOK, detail)
	return true
}

func newDoctorCommand(env Env) *cobra.Command {
	var base, key string
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check a running hub: its parts, and a message all the way through",
		Long: "Looks at the stack's parts, then opens a web chat with the echo agent, writes a message as a\n" +
			"visitor would, waits for the answer and prints the message's trace. The instance is removed again.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			client, err := newClient(env, base, key)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			found := diagnose(ctx, cfg, client)
			if asJSON {
				err = (&printer{out: cmd.OutOrStdout()}).raw(found)
			} else {
				err = found.print(cmd.OutOrStdout())
			}
			if err == nil && !found.OK {
				err = &quietError{"the hub is not well"}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&base, "url", "", "the hub's API (default: OMNI_HOST and OMNI_PORT)")
	cmd.Flags().StringVar(&key, "key", "", "API key (default: OMNI_API_KEY, else the one that omni up keeps)")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long it may take in all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func diagnose(ctx context.Context, cfg *config.Config, client *apiClient) *diagnosis {
	d := &diagnosis{OK: true}
	checkProxies(cfg, d)
	checkExternalStack(ctx, cfg, d)
	if !checkParts(ctx, client, d) {
		return d // without them a message would only wait
	}
	d.check("message", func() (string, error) {
		trace, took, err := sendThrough(ctx, client)
		if err != nil {
			return "", err
		}
		d.Trace = trace
		return fmt.Sprintf("written as a visitor, answered after %d ms", took.Milliseconds()), nil
	})
	return d
}

// checkParts asks the hub how its parts are.
func checkParts(ctx context.Context, client *apiClient, d *diagnosis) bool {
	var ready struct {
		Parts []struct {
			Name   string `json:"name"`
			Status string `json:"status"`
			Error  string `json:"error"`
		} `json:"parts"`
	}
	reached := d.check("api", func() (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, client.base+"/readyz", http.NoBody)
		if err != nil {
			return "", fmt.Errorf("--url %s is not a URL", client.base)
		}
		response, err := client.http.Do(request)
		if err != nil {
			return "", client.unreachable(ctx, err)
		}
		defer func() { _ = response.Body.Close() }()
		if json.NewDecoder(response.Body).Decode(&ready) != nil || len(ready.Parts) == 0 {
			return "", fmt.Errorf("%s does not answer like an Omni hub", client.base)
		}
		return client.base + " answers", nil
	})
	for _, part := range ready.Parts {
		d.check(part.Name, func() (string, error) {
			if part.Status != "up" {
				return "", fmt.Errorf("%s: %s", part.Status, part.Error)
			}
			return part.Status, nil
		})
	}
	return reached && d.OK
}

// print is for people: a line per finding, then the trace.
func (d *diagnosis) print(w io.Writer) error {
	var b strings.Builder
	marks := map[string]string{findingOK: "✓", findingWarn: "!", findingFail: "✗"}
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "%s %-12s %s\n", marks[f.Status], f.Name, cellText(f.Detail))
	}
	if d.Trace != nil {
		fmt.Fprintf(&b, "\nThe way of message %s:\n\n", d.Trace.MessageID)
		for _, step := range d.Trace.Steps {
			fmt.Fprintf(&b, "  %s  %-20s %-10s %8.1f ms\n",
				step.StartedAt.Format("15:04:05.000"), step.Name, step.Status, step.DurationMs)
		}
		for _, workflow := range d.Trace.Workflows {
			fmt.Fprintf(&b, "\n  %s  %s", workflow.ID, workflow.URL)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cellText keeps what servers say from controlling the terminal.
func cellText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const eventsPath = "/api/v1/events"

var eventFilters = append([]filterFlag{{"type", "type", "an event type, or a pattern (message.*)"},
	{"correlation", "correlationId", "only what this message began"},
	{"since", "since", "behind this position, or from this time on"}}, ownerFilters...)

func eventsCommand(env Env) *cobra.Command {
	return resource("events", "The log of everything that happened",
		list(env, "List events, newest first", eventsPath, append([]filterFlag{{"until", "until", "only before this time"}},
			eventFilters...), []column{{"ID", "id"}, {"WHEN", "time"}, {"TYPE", "type"}, {"ABOUT", "subject"},
			{"POSITION", "position"}}),
		act(env, "get", "Read an event", http.MethodGet, eventsPath+"/{id}", ""),
		verb{
			use: "tail", short: "Follow the log until interrupted",
			long: "Prints what happens from now on, or from --since <position> on; goes on by itself when the hub comes back.",
			flags: func(cmd *cobra.Command) {
				for _, f := range eventFilters {
					cmd.Flags().String(f.flag, "", f.help)
				}
			},
			run: func(c *call, _ []string) error { return c.tail() },
		}.command(env),
	)
}

// tail follows the stream; where it breaks it goes on behind the last event.
func (c *call) tail() error {
	params := map[string]string{}
	for _, f := range eventFilters {
		params[f.flag] = f.param
	}
	q := c.query(params)
	for began := false; ; {
		err := c.follow(q, &began)
		if c.Err() != nil {
			return nil //nolint:nilerr // interrupted: that is how it ends
		}
		var refused *apiError
		if errors.As(err, &refused) || !began {
			return err
		}
		wait := time.NewTimer(time.Second)
		select {
		case <-c.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
	}
}

func (c *call) follow(q url.Values, began *bool) error {
	resp, err := c.open(c, http.MethodGet, eventsPath+"/stream", q, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	*began = true
	lines := bufio.NewScanner(resp.Body)
	const longestEvent = 16 << 20
	lines.Buffer(nil, longestEvent)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		position, err := c.event([]byte(data))
		if err != nil {
			return err
		}
		q.Set("since", position)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// event prints one event in one line.
func (p *printer) event(data []byte) (position string, err error) {
	var e struct {
		Time     string         `json:"time"`
		Type     string         `json:"type"`
		Subject  string         `json:"subject"`
		Position string         `json:"position"`
		Data     map[string]any `json:"data"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return "", fmt.Errorf("reading an event: %w", err)
	}
	if p.json {
		_, err = fmt.Fprintf(p.out, "%s\n", data)
		return e.Position, err
	}
	_, err = fmt.Fprintf(p.out, "%-30s  %-20s  %s  %s\n", cell(e.Time), cell(e.Type), cell(e.Subject),
		cell(at(e.Data, "content.text|error|status|outcome")))
	return e.Position, err
}

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// validate checks a whole instance and names every field that is wrong.
func (s *Instances) validate(ctx context.Context, in *omni.Instance) error {
	var c checks
	c.name(in.Name)
	c.settings(&in.Settings)
	c.agent(in.Settings.Agent, s.providers)
	if a := in.Settings.Agent; a != nil {
		c.outgoing("agent.apiUrl", a.APIURL, s.checkURL)
	}
	if err := s.agentID(ctx, in, &c); err != nil {
		return err
	}
	ch, ok := channels.Lookup(in.Channel)
	if !ok {
		c.add("channel", "must be one of: "+strings.Join(channelTypes(), ", "))
		return c.err()
	}
	c.fieldNames(ch, in.ChannelConfig)
	err := ch.Validate(channels.Config{
		TenantID: in.TenantID, InstanceID: in.ID.String(), Values: in.ChannelConfig,
		PublicURL: s.publicURL, CheckURL: s.checkURL,
	})
	var bad *channels.ConfigError
	switch {
	case errors.As(err, &bad):
		c.add(bad.Field, bad.Reason)
	case err != nil:
		c.add("channelConfig", err.Error())
	}
	return c.err()
}

// agentID checks that the agent that an instance names is its tenant's.
func (s *Instances) agentID(ctx context.Context, in *omni.Instance, c *checks) error {
	if in.Settings.AgentID == nil {
		return nil
	}
	a, err := s.store.Agent(ctx, *in.Settings.AgentID)
	switch {
	case errors.Is(err, omni.ErrNotFound) || err == nil && a.TenantID != in.TenantID:
		c.add("agentId", "no such agent")
	case err != nil:
		return err
	}
	return nil
}

// fieldNames takes only the names that the channel declares, as they are
// written there: what is secret is known by its name, and under another one
// ("SECRET") it would be stored, and shown, in the clear.
func (c *checks) fieldNames(ch channels.Channel, config json.RawMessage) {
	var given map[string]json.RawMessage
	if len(config) == 0 || json.Unmarshal(config, &given) != nil {
		return // the channel says what is wrong
	}
	known := map[string]bool{}
	for _, f := range ch.Info().Config {
		known[f.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !known[name] {
			c.add(fmt.Sprintf("channelConfig.%.100s", strings.ToValidUTF8(name, "")), "is not a field of this channel; it has: "+
				strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
}

func channelTypes() []string {
	all := channels.All()
	types := make([]string, 0, len(all))
	for _, c := range all {
		types = append(types, c.Info().Type)
	}
	return types
}

// checks collects complaints.
type checks struct{ fields []Field }

func (c *checks) add(field, message string) {
	c.fields = append(c.fields, Field{Field: field, Message: message})
}

func (c *checks) err() error {
	if len(c.fields) == 0 {
		return nil
	}
	return invalidFields(c.fields...)
}

func (c *checks) name(name string) {
	switch {
	case name == "":
		c.add("name", "is required")
	case utf8.RuneCountInString(name) > 200:
		c.add("name", "is longer than 200 characters")
	case strings.ContainsFunc(name, unicode.IsControl):
		c.add("name", "must not contain control characters")
	}
}

// Lists that are gone through for every message or turn.
const (
	maxTriggers = 500
	maxName     = 100 // characters
	maxEmoji    = 64  // bytes: a platform's own emoji has an id
)

func (c *checks) settings(s *omni.InstanceSettings) {
	m := &s.Messaging
	c.enums("messaging", *m)
	c.enums("access", s.Access)
	const day = 24 * 3600
	c.between("messaging.debounceMs", m.DebounceMs, 0, 600_000)
	c.between("messaging.debounceMinMs", m.DebounceMinMs, 0, 600_000)
	c.between("messaging.debounceMaxMs", m.DebounceMaxMs, 0, 600_000)
	c.between("messaging.debounceMaxWaitMs", m.DebounceMaxWaitMs, 0, 3_600_000)
	c.between("messaging.splitDelayMs", m.SplitDelayMs, 0, 60_000)
	c.between("messaging.replyTtlSeconds", m.ReplyTTLSeconds, 1, 365*day)
	c.between("messaging.catchUpSeconds", m.CatchUpSeconds, 0, 365*day)
	c.between("messaging.takeoverOnOwnMessageSeconds", m.TakeoverOnOwnMessageSeconds, 0, 365*day)
	if m.DebounceMode == "randomized" && m.DebounceMaxMs < m.DebounceMinMs {
		c.add("messaging.debounceMaxMs", "must not be less than debounceMinMs")
	}
	c.followUps(m.FollowUps)
	c.resetEmoji(m)
	c.triggers(&m.Triggers)
	if s.Media.MaxBytes < 0 {
		c.add("media.maxBytes", "must not be negative")
	}
}

func (c *checks) agent(a *omni.AgentConfig, providers []string) {
	if a == nil {
		return
	}
	c.enums("agent", *a)
	if len(providers) > 0 && !slices.Contains(providers, a.Provider) {
		c.add("agent.provider", "must be one of: "+strings.Join(providers, ", "))
	}
	c.agentExtras(a)
	c.between("agent.timeoutSeconds", a.TimeoutSeconds, 1, 3600)
	c.between("agent.maxTokens", a.MaxTokens, 0, 1_000_000)
	c.between("agent.historyMessages", a.HistoryMessages, 0, 1000)
	c.between("agent.historySeconds", a.HistorySeconds, 0, 10*365*24*3600)
	c.between("agent.retryForSeconds", a.RetryForSeconds, 0, 30*24*3600)
	c.between("agent.noticeSeconds", a.NoticeSeconds, 0, 3600)
	c.noNUL("agent.systemPrompt", a.SystemPrompt)
	c.noNUL("agent.fallbackText", a.FallbackText)
	c.noNUL("agent.model", a.Model)
	if a.APIURL != "" {
		if u, err := url.Parse(a.APIURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			c.add("agent.apiUrl", "must be an http or https URL")
		} else if u.User != nil {
			c.add("agent.apiUrl", "must not hold a user name or password: it is shown to everybody who may read the instance")
		}
	}
	if a.Custom != nil {
		for _, f := range a.Custom.Check() {
			c.add("agent.custom."+f.Field, f.Reason)
		}
	}
	switch a.Provider {
	case "agno", "webhook", "custom", "a2a":
		if a.APIURL == "" {
			c.add("agent.apiUrl", "is required for provider "+a.Provider)
		}
	}
}

func (c *checks) between(field string, v, low, high int) {
	if v < low || v > high {
		c.add(field, fmt.Sprintf("must be between %d and %d", low, high))
	}
}

// noNUL refuses what Postgres cannot store.
func (c *checks) noNUL(field, v string) {
	if strings.ContainsRune(v, 0) {
		c.add(field, "must not contain NUL")
	}
}

// enums checks every field of v that has an enum tag, so that the values are
// said once: in the domain's types.
func (c *checks) enums(path string, v any) {
	val := reflect.ValueOf(v)
	for i := range val.NumField() {
		f := val.Type().Field(i)
		allowed := f.Tag.Get("enum")
		if allowed == "" || f.Type.Kind() != reflect.String {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options := strings.Split(allowed, ","); !slices.Contains(options, val.Field(i).String()) {
			c.add(path+"."+name, "must be one of: "+strings.Join(options, ", "))
		}
	}
}

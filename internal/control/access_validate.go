package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

const (
	maxPriority   = 1_000_000
	maxRateCount  = 1_000_000
	maxRatePeriod = 365 * 24 * 3600 // seconds
)

// noEmptyMatch refuses fields of match that are there and empty. Taken as
// absent, a rule about nobody would be one about everybody.
func (c *checks) noEmptyMatch(doc map[string]any) {
	match, _ := doc["match"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(match)) {
		if match[name] == "" {
			c.add("match."+name, "must not be empty; leave it out to match everybody")
		}
	}
}

// rule checks a rule's values; dated: the change says when it expires.
func (c *checks) rule(in *AccessRuleInput, dated bool) {
	if in.Type == "" {
		c.add("type", "is required: allow, deny or silent")
	} else {
		c.enumIfSet("type", in.Type, omni.RuleAllow, omni.RuleDeny, omni.RuleSilent)
	}
	c.match(&in.Match)
	c.between("priority", in.Priority, -maxPriority, maxPriority)
	c.text("reason", in.Reason, 500)
	c.text("notice", in.Notice, 1000)
	if dated && in.ExpiresAt != nil && !in.ExpiresAt.After(time.Now()) {
		c.add("expiresAt", "is in the past")
	}
	if in.ExpiresAt != nil && in.ExpiresAt.Year() > 9999 {
		c.add("expiresAt", "is too far away")
	}
	if in.Schedule != nil {
		c.schedule(in.Schedule)
	}
	if in.RateLimit != nil {
		c.between("rateLimit.count", in.RateLimit.Count, 1, maxRateCount)
		c.between("rateLimit.perSeconds", in.RateLimit.PerSeconds, 1, maxRatePeriod)
	}
}

func (c *checks) match(m *omni.RuleMatch) {
	c.enumIfSet("match.chatType", string(m.ChatType), "dm", "group")
	c.glob("match.platformUserId", m.PlatformUserID, 500)
	c.glob("match.handle", m.Handle, 250)
	c.glob("match.channel", m.Channel, 100)
	if m.Handle != "" && strings.Trim(m.Handle, "@") == "" {
		c.add("match.handle", "is no handle")
	}
	if m.Phone != "" && !omni.CheckPhoneGlob(m.Phone) {
		c.add("match.phone", "must be a phone number with its country's code (+5511987654321), or a pattern of one (+5511*)")
	}
	if m.Channel != "" && !strings.ContainsAny(m.Channel, `*\`) {
		if _, ok := channels.Lookup(m.Channel); !ok {
			c.add("match.channel", "must be a pattern, or one of: "+strings.Join(channelTypes(), ", "))
		}
	}
}

func (c *checks) enumIfSet(field, v string, options ...string) {
	if v != "" && !slices.Contains(options, v) {
		c.add(field, "must be one of: "+strings.Join(options, ", "))
	}
}

func (c *checks) glob(field, v string, atMost int) {
	c.text(field, v, atMost)
	if err := omni.CheckGlob(v); err != nil {
		c.add(field, "is no pattern: "+err.Error())
	}
	if strings.ContainsFunc(v, unicode.IsControl) {
		c.add(field, "must not contain control characters")
	}
}

func (c *checks) text(field, v string, atMost int) {
	c.noNUL(field, v)
	if utf8.RuneCountInString(v) > atMost {
		c.add(field, fmt.Sprintf("is longer than %d characters", atMost))
	}
}

// schedule checks a schedule, and writes its days as they are compared.
func (c *checks) schedule(s *omni.Schedule) {
	if _, err := s.Zone(); err != nil {
		c.add("schedule.timeZone", "is not a time zone of the IANA database")
	}
	var days []string
	for i, d := range s.Days {
		d = strings.ToLower(d)
		switch {
		case !slices.Contains(omni.Days(), d):
			c.add(fmt.Sprintf("schedule.days[%d]", i), "must be one of: mon, tue, wed, thu, fri, sat, sun")
		case !slices.Contains(days, d):
			days = append(days, d)
		}
	}
	if s.Days != nil && len(s.Days) == 0 {
		c.add("schedule.days", "must name one day at least, or be absent")
	}
	if len(s.Days) == 0 && s.From == "" && s.To == "" {
		c.add("schedule", "must have days, or from and to")
		return
	}
	c.window(s)
	s.Days = days
}

func (c *checks) window(s *omni.Schedule) {
	if s.From == "" && s.To == "" {
		return
	}
	from, errFrom := omni.ParseClock(s.From)
	to, errTo := omni.ParseClock(s.To)
	switch {
	case s.From == "":
		c.add("schedule.from", "is required with to")
	case s.To == "":
		c.add("schedule.to", "is required with from")
	case errFrom != nil || s.From == "24:00":
		c.add("schedule.from", "must be a time of day, HH:MM")
	case errTo != nil:
		c.add("schedule.to", "must be a time of day, HH:MM, or 24:00")
	case from == to:
		c.add("schedule.to", "must be another time than from")
	}
}

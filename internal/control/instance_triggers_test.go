package control

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

func TestTriggersAreChecked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		triggers omni.TriggerConfig
		want     []string // the fields complained of
	}{
		"nothing":              {},
		"names and emoji":      {triggers: omni.TriggerConfig{Names: []string{"José", "@omni", "dr bot", "小明"}, Reactions: []string{"👍", "❤️", "👩🏽‍🚀", "custom:5368324170671202286", ":thumbsup:"}}},
		"blank names":          {triggers: omni.TriggerConfig{Names: []string{"omni", " ", "@", ""}}, want: []string{"messaging.triggers.names[1]", "messaging.triggers.names[2]", "messaging.triggers.names[3]"}},
		"a name with NUL":      {triggers: omni.TriggerConfig{Names: []string{"om\x00ni"}}, want: []string{"messaging.triggers.names[0]"}},
		"a name with lines":    {triggers: omni.TriggerConfig{Names: []string{"om\nni"}}, want: []string{"messaging.triggers.names[0]"}},
		"a name without end":   {triggers: omni.TriggerConfig{Names: []string{strings.Repeat("o", 101)}}, want: []string{"messaging.triggers.names[0]"}},
		"too many names":       {triggers: omni.TriggerConfig{Names: strings.Split(strings.Repeat("omni,", 500)+"omni", ",")}, want: []string{"messaging.triggers.names"}},
		"blank reaction":       {triggers: omni.TriggerConfig{Reactions: []string{"👍", ""}}, want: []string{"messaging.triggers.reactions[1]"}},
		"two in one":           {triggers: omni.TriggerConfig{Reactions: []string{"👍 👎"}}, want: []string{"messaging.triggers.reactions[0]"}},
		"a text":               {triggers: omni.TriggerConfig{Reactions: []string{strings.Repeat("👍", 20)}}, want: []string{"messaging.triggers.reactions[0]"}},
		"too many reactions":   {triggers: omni.TriggerConfig{Reactions: strings.Split(strings.Repeat("👍,", 500)+"👍", ",")}, want: []string{"messaging.triggers.reactions"}},
		"everything at once":   {triggers: omni.TriggerConfig{Names: []string{""}, Reactions: []string{"a b"}}, want: []string{"messaging.triggers.names[0]", "messaging.triggers.reactions[0]"}},
		"not even text, twice": {triggers: omni.TriggerConfig{Names: []string{"\xff"}, Reactions: []string{"\xff"}}, want: []string{"messaging.triggers.names[0]", "messaging.triggers.reactions[0]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c checks
			c.triggers(&tc.triggers)
			var fields []string
			for _, f := range c.fields {
				fields = append(fields, f.Field)
			}
			require.Equal(t, tc.want, fields)
		})
	}
}

func TestDebounceIsChecked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*omni.MessagingConfig)
		want   string
	}{
		"fixed": {change: func(m *omni.MessagingConfig) { m.DebounceMode, m.DebounceMs = "fixed", 1500 }},
		"randomized": {change: func(m *omni.MessagingConfig) {
			m.DebounceMode, m.DebounceMinMs, m.DebounceMaxMs = "randomized", 100, 900
		}},
		"unknown mode":          {change: func(m *omni.MessagingConfig) { m.DebounceMode = "later" }, want: "messaging.debounceMode"},
		"negative":              {change: func(m *omni.MessagingConfig) { m.DebounceMs = -1 }, want: "messaging.debounceMs"},
		"more than ten minutes": {change: func(m *omni.MessagingConfig) { m.DebounceMaxMs = 600_001 }, want: "messaging.debounceMaxMs"},
		"cap over an hour":      {change: func(m *omni.MessagingConfig) { m.DebounceMaxWaitMs = 3_600_001 }, want: "messaging.debounceMaxWaitMs"},
		"reversed": {change: func(m *omni.MessagingConfig) {
			m.DebounceMode, m.DebounceMinMs, m.DebounceMaxMs = "randomized", 900, 100
		},
			want: "messaging.debounceMaxMs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := omni.DefaultSettings()
			tc.change(&s.Messaging)
			var c checks
			c.settings(&s)
			if tc.want == "" {
				require.Empty(t, c.fields)
				return
			}
			require.Len(t, c.fields, 1)
			require.Equal(t, tc.want, c.fields[0].Field)
		})
	}
}

package control

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/omnihub/omni/internal/omni"
)

const (
	maxFollowUps     = 50
	maxFollowUpRunes = 20_000
)

// followUps are known by their time: two at the same one could not be told
// apart when the settings are changed while they wait.
func (c *checks) followUps(list []omni.FollowUp) {
	if len(list) > maxFollowUps {
		c.add("messaging.followUps", fmt.Sprintf("has more than %d entries", maxFollowUps))
	}
	at := map[int]int{}
	for i, f := range list {
		field := func(name string) string { return fmt.Sprintf("messaging.followUps[%d].%s", i, name) }
		c.between(field("afterSeconds"), f.AfterSeconds, 1, 365*24*3600)
		if other, taken := at[f.AfterSeconds]; taken {
			c.add(field("afterSeconds"), fmt.Sprintf("is that of followUps[%d] too", other))
		}
		at[f.AfterSeconds] = i
		switch said, asked := strings.TrimSpace(f.Text) != "", strings.TrimSpace(f.AgentPrompt) != ""; {
		case !said && !asked:
			c.add(field("text"), "is required, or agentPrompt")
		case said && asked:
			c.add(field("agentPrompt"), "must not be given with text")
		}
		for name, v := range map[string]string{"text": f.Text, "agentPrompt": f.AgentPrompt} {
			c.noNUL(field(name), v)
			if utf8.RuneCountInString(v) > maxFollowUpRunes {
				c.add(field(name), fmt.Sprintf("is longer than %d characters", maxFollowUpRunes))
			}
		}
	}
}

func (c *checks) resetEmoji(m *omni.MessagingConfig) {
	switch {
	case m.ResetEmoji == "":
	case !omni.IsEmoji(m.ResetEmoji):
		c.add("messaging.resetEmoji", "must be one emoji")
	case omni.ReactsTo(m.Triggers, m.ResetEmoji):
		c.add("messaging.resetEmoji", "is one of triggers.reactions, which are answered")
	}
}

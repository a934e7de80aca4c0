package agent

import (
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// history makes the past readable for an agent: what went out in the
// channel's markup becomes Markdown again, and the parts of one reply one
// message.
func history(past []omni.PastMessage, markup channels.Markup) []omni.PastMessage {
	merged := make([]omni.PastMessage, 0, len(past))
	for _, m := range past {
		if !m.FromAgent {
			merged = append(merged, m)
			continue
		}
		m.Text = omni.Unconvert(m.Text, markup)
		if last := len(merged) - 1; last >= 0 && m.TurnID.Valid && merged[last].FromAgent && merged[last].TurnID == m.TurnID {
			merged[last].Text += "\n\n" + m.Text
			continue
		}
		merged = append(merged, m)
	}
	return merged
}

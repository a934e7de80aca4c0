package agent

import (
	"slices"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// history makes the past readable for an agent: what went out in its channel's
// markup becomes Markdown again, and the parts of one reply one message.
func history(past []omni.PastMessage, markup func(channel string) channels.Markup) []omni.PastMessage {
	merged := make([]omni.PastMessage, 0, len(past))
	for _, m := range past {
		if !m.FromAgent {
			if m.Target != nil {
				m.Target.Text = omni.Unconvert(m.Target.Text, markup(m.Channel))
			}
			unquote(m.ReplyTo, markup(m.Channel))
			merged = append(merged, m)
			continue
		}
		m.Text = omni.Unconvert(m.Text, markup(m.Channel))
		if last := len(merged) - 1; last >= 0 && m.Text != "" && sameReply(&merged[last], &m) {
			merged[last].Text += "\n\n" + m.Text
			merged[last].Content.Buttons = append(slices.Clone(merged[last].Content.Buttons), m.Content.Buttons...)
			merged[last].Uncertain = merged[last].Uncertain || m.Uncertain
			continue
		}
		merged = append(merged, m)
	}
	return merged
}

// unquote makes the text of a quoted message of ours Markdown again.
func unquote(m *omni.QuotedMessage, markup channels.Markup) {
	if m != nil && m.FromAgent {
		m.Text = omni.Unconvert(m.Text, markup)
	}
}

// sameReply reports whether two parts are text of one reply. Media is not
// lost in a text before it.
func sameReply(a, b *omni.PastMessage) bool {
	return a.FromAgent && b.TurnID.Valid && a.TurnID == b.TurnID && len(a.Content.Media) == 0 && len(b.Content.Media) == 0
}

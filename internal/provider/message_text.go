package provider

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// How much of what others said or wrote is repeated, in characters.
const (
	maxQuoted  = 500   // of a message, to say which one is meant
	maxHeard   = 20000 // of a file's words in the messages to answer
	maxRecalls = 2000  // of a file's words in the past
	maxLabel   = 200   // of a file's name, a place, a question
)

// messageText is a message of the batch in words, attachments named.
func messageText(req omni.AgentRequest, m omni.TurnMessage) string {
	group := req.Chat.Type == message.ChatGroup
	text := turnText(m, nil, group)
	if text == "" {
		return ""
	}
	return spoken(senderIf(group, m.SenderName, m.SenderID), text)
}

// turnText is what is said by a message of the batch, of whose images some are
// shown.
func turnText(m omni.TurnMessage, shown []string, group bool) string {
	if m.Kind == message.KindReaction {
		return describeReaction(m.Text, m.Target)
	}
	return inReplyTo(m.ReplyTo, group, describe(m.Text, m.Content, shown, maxHeard))
}

// pastText is a past message as text. Its images are not shown again.
func pastText(m omni.PastMessage, group bool) string {
	if m.Kind == message.KindReaction {
		return describeReaction(m.Text, m.Target)
	}
	return inReplyTo(m.ReplyTo, group, describe(m.Text, m.Content, nil, maxRecalls))
}

// inReplyTo puts what a message answers in front of it, in groups: there, who
// means whom is not told by the order.
func inReplyTo(to *omni.QuotedMessage, group bool, text string) string {
	if to == nil || !group || to.Text == "" {
		return text
	}
	whose := "you"
	if !to.FromAgent {
		whose = speaker(to.SenderName)
	}
	return strings.TrimSpace("[in reply to " + strings.TrimSpace(whose+" "+quoted(to.Text, maxQuoted)) + "]\n" + text)
}

// describeReaction says who put which emoji on what we had written: the sender
// is the message's own.
func describeReaction(emoji string, target *omni.ReactionTarget) string {
	if target == nil || target.Text == "" {
		return "[reaction: " + emoji + "]"
	}
	return "[reaction: " + emoji + " to your message " + quoted(target.Text, maxQuoted) + "]"
}

// describe is a message as text: what was typed, and a line for each thing that
// was sent with it. Images that are shown need no words. most bounds what is
// repeated of each file.
func describe(text string, c message.Content, shown []string, most int) string {
	var lines []string
	if text != "" {
		lines = append(lines, text)
	} else if said := describeKind(c); said != "" {
		lines = append(lines, said)
	}
	for _, m := range c.Media {
		if !slices.Contains(shown, m.URL) {
			lines = append(lines, describeMedia(m, most))
		}
	}
	if len(c.Buttons) > 0 {
		labels := make([]string, len(c.Buttons))
		for i, b := range c.Buttons {
			labels[i] = oneLine(b.Text, maxLabel)
		}
		lines = append(lines, "[buttons: "+strings.Join(labels, " / ")+"]")
	}
	return strings.Join(lines, "\n")
}

// describeKind says what was sent where nothing was typed.
func describeKind(c message.Content) string {
	switch {
	case c.Location != nil:
		return strings.TrimSpace(fmt.Sprintf("[location: %g, %g %s", c.Location.Latitude, c.Location.Longitude, oneLine(c.Location.Name, maxLabel))) + "]"
	case c.Contact != nil:
		return strings.TrimSpace("[contact: "+oneLine(c.Contact.Name, maxLabel)+" "+oneLine(c.Contact.Phone, maxLabel)) + "]"
	case c.Poll != nil:
		options := make([]string, len(c.Poll.Options))
		for i, option := range c.Poll.Options {
			options[i] = oneLine(option, maxLabel)
		}
		return "[poll: " + oneLine(c.Poll.Question, maxQuoted) + " / " + strings.Join(options, " / ") + "]"
	case c.Reaction != nil:
		return "[reaction: " + oneLine(c.Reaction.Emoji, maxLabel) + "]"
	case len(c.Media) == 0 && len(c.Buttons) == 0 && c.Type != "" && c.Type != message.TypeText:
		return "[" + string(c.Type) + "]"
	default:
		return ""
	}
}

// describeMedia names an attachment that is not shown, and what the hub made of
// it: in quotes that nothing in it can close.
func describeMedia(m message.Media, most int) string {
	var said strings.Builder
	said.WriteString("[" + string(m.Type))
	if name := oneLine(m.Filename, maxLabel); name != "" {
		said.WriteString(": " + name)
	}
	for _, made := range []struct{ what, words string }{
		{"transcript", m.Transcript}, {"description", m.Description}, {"text", m.ExtractedText}} {
		if words := strings.TrimSpace(made.words); words != "" {
			said.WriteString(", " + made.what + " " + quoted(words, most))
		}
	}
	if m.Ref == unavailable {
		said.WriteString(" (could not be shown)")
	}
	return said.String() + "]"
}

// quoted is a text in quotes, on one line, cut where it is longer.
func quoted(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		text = string(append(runes[:most], '…'))
	}
	return strconv.Quote(text)
}

package control

import (
	"fmt"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// partsOf writes a content in the channel's markup, as the parts that are
// sent one after the other: one, unless its text is longer than the channel
// takes. What is more than text goes out with the first part, a caption that
// is too long behind its media, and buttons with the last.
func partsOf(channel string, caps channels.Capabilities, content message.Content) ([]message.Content, error) {
	switch {
	case content.Text == "":
		return []message.Content{content}, nil
	case len(content.Media) > 0:
		return captioned(channel, caps, content)
	case content.Type == message.TypeText || content.Type == message.TypeButtons:
		return textParts(channel, caps, content)
	}
	if n := omni.Length(content.Text, caps.LengthUnit); caps.MaxTextLength > 0 && n > caps.MaxTextLength {
		return nil, tooLong(fmt.Sprintf("has %d %s", n, unitName(caps.LengthUnit)), channel, caps)
	}
	return []message.Content{content}, nil
}

func textParts(channel string, caps channels.Capabilities, content message.Content) ([]message.Content, error) {
	texts := omni.Split(content.Text, omni.SplitOptions{MaxLength: caps.MaxTextLength, Unit: caps.LengthUnit, Markup: caps.Markup})
	if len(texts) == 0 {
		return nil, invalid("content.text", "shows nothing")
	}
	if len(texts) > omni.MaxParts {
		return nil, tooLong(fmt.Sprintf("would be %d messages, more than %d", len(texts), omni.MaxParts), channel, caps)
	}
	parts := make([]message.Content, len(texts))
	for i, text := range texts {
		parts[i] = message.Content{Type: message.TypeText, Text: text}
	}
	last := &parts[len(parts)-1]
	text := last.Text
	*last = content
	last.Text = text
	return parts, nil
}

func captioned(channel string, caps channels.Capabilities, content message.Content) ([]message.Content, error) {
	limit := caps.MaxTextLength
	if caps.MaxCaption > 0 {
		limit = caps.MaxCaption
	}
	caption := omni.Convert(content.Text, caps.Markup)
	if limit <= 0 || omni.Length(caption, caps.LengthUnit) <= limit {
		content.Text = caption
		return []message.Content{content}, nil
	}
	texts, err := textParts(channel, caps, message.Content{Type: message.TypeText, Text: content.Text})
	content.Text = ""
	return append([]message.Content{content}, texts...), err
}

func tooLong(what, channel string, caps channels.Capabilities) error {
	return invalid("content.text", fmt.Sprintf("%s: channel %s takes %d %s at a time", what, channel, caps.MaxTextLength,
		unitName(caps.LengthUnit)))
}

func unitName(unit channels.LengthUnit) string {
	switch unit {
	case channels.UnitBytes:
		return "bytes"
	case channels.UnitUTF16:
		return "UTF-16 units"
	default:
		return "characters"
	}
}

package omni

import (
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// ContentParts writes a content in the channel's markup, as the bubbles that
// are sent one after the other: one, unless its text is longer than the channel
// takes. What is more than text goes out with the first one, a caption that is
// too long behind its media, and buttons with the last. auto is
// SplitOptions.Auto. A text that shows nothing has no bubbles; of what is
// neither text nor media the text is left as it is.
func ContentParts(c message.Content, caps channels.Capabilities, auto bool) []message.Content {
	switch {
	case c.Text == "" && c.Type != message.TypeText:
		return []message.Content{c}
	case len(c.Media) > 0:
		return captionedParts(c, caps)
	case c.Type == message.TypeText, c.Type == message.TypeButtons:
		return textParts(c, caps, auto)
	default:
		return []message.Content{c}
	}
}

func textParts(c message.Content, caps channels.Capabilities, auto bool) []message.Content {
	opt := SplitOptions{MaxLength: caps.MaxTextLength, Unit: caps.LengthUnit, Markup: caps.Markup, Auto: auto}
	if auto {
		opt.MaxParts = MaxParts
	}
	texts := Split(c.Text, opt)
	parts := make([]message.Content, len(texts))
	for i, text := range texts {
		parts[i] = message.Content{Type: message.TypeText, Text: text}
	}
	if last := len(parts) - 1; last >= 0 {
		text := parts[last].Text
		parts[last] = c
		parts[last].Text = text
	}
	return parts
}

func captionedParts(c message.Content, caps channels.Capabilities) []message.Content {
	limit := caps.MaxTextLength
	if caps.MaxCaption > 0 {
		limit = caps.MaxCaption
	}
	caption := Convert(c.Text, caps.Markup)
	if limit <= 0 || Length(caption, caps.LengthUnit) <= limit {
		c.Text = caption
		return []message.Content{c}
	}
	texts := textParts(message.Content{Type: message.TypeText, Text: c.Text}, caps, false)
	c.Text = ""
	return append([]message.Content{c}, texts...)
}

package control

import (
	"fmt"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// partsOf writes a content in the channel's markup, as the parts that are
// sent one after the other: see omni.ContentParts. What cannot be sent whole
// is refused.
func partsOf(channel string, caps channels.Capabilities, content message.Content) ([]message.Content, error) {
	if content.Text != "" && len(content.Media) == 0 && content.Type != message.TypeText && content.Type != message.TypeButtons {
		if n := omni.Length(content.Text, caps.LengthUnit); caps.MaxTextLength > 0 && n > caps.MaxTextLength {
			return nil, tooLong(fmt.Sprintf("has %d %s", n, unitName(caps.LengthUnit)), channel, caps)
		}
	}
	parts := omni.ContentParts(content, caps, false)
	switch {
	case len(parts) == 0:
		return nil, invalid("content.text", "shows nothing")
	case len(parts) > omni.MaxParts:
		return nil, tooLong(fmt.Sprintf("would be %d messages, more than %d", len(parts), omni.MaxParts), channel, caps)
	}
	return parts, nil
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

package control

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// The bounds of one message. No platform comes near them.
const (
	maxAttachments = 32
	maxListed      = 256
)

// checkContent refuses a content that the channel cannot send, or that is not
// whole.
func checkContent(channel string, caps channels.Capabilities, content *message.Content) error {
	if content.Type == "" {
		content.Type = message.TypeText
	}
	if !slices.Contains(message.ContentTypes(), content.Type) {
		all := message.ContentTypes()
		names := make([]string, 0, len(all))
		for _, t := range all {
			names = append(names, string(t))
		}
		return invalid("content.type", "must be one of: "+strings.Join(names, ", "))
	}
	var c checks
	c.content(content)
	if err := c.err(); err != nil {
		return err
	}
	if !slices.Contains(caps.Send, content.Type) {
		return NotSupported(channel, "content of type "+string(content.Type))
	}
	return nil
}

// content checks that what the type needs is there.
func (c *checks) content(v *message.Content) {
	c.noNUL("content.text", v.Text)
	switch v.Type {
	case message.TypeText:
		if strings.TrimSpace(v.Text) == "" {
			c.add("content.text", "is required")
		}
	case message.TypeImage, message.TypeAudio, message.TypeVideo, message.TypeDocument, message.TypeSticker:
		if len(v.Media) == 0 {
			c.add("content.media", "is required: one attachment at least")
		}
	case message.TypeLocation:
		c.location(v.Location)
	case message.TypeContact:
		if v.Contact == nil || v.Contact.Name == "" {
			c.add("content.contact.name", "is required")
		}
	case message.TypePoll:
		if v.Poll == nil || v.Poll.Question == "" {
			c.add("content.poll.question", "is required")
		} else if len(v.Poll.Options) < 2 {
			c.add("content.poll.options", "needs two at least")
		}
	case message.TypeReaction:
		if v.Reaction == nil || v.Reaction.Emoji == "" && !v.Reaction.Removed {
			c.add("content.reaction.emoji", "is required")
		}
	case message.TypeButtons:
		if len(v.Buttons) == 0 {
			c.add("content.buttons", "is required: one at least")
		}
	}
	if len(v.Media) > maxAttachments {
		c.add("content.media", fmt.Sprintf("has more than %d attachments", maxAttachments))
		return
	}
	if len(v.Buttons) > maxListed {
		c.add("content.buttons", fmt.Sprintf("has more than %d entries", maxListed))
	}
	if v.Poll != nil && len(v.Poll.Options) > maxListed {
		c.add("content.poll.options", fmt.Sprintf("has more than %d entries", maxListed))
	}
	for i := range v.Media {
		c.media(i, &v.Media[i], v.Type)
	}
}

func (c *checks) media(i int, m *message.Media, parent message.ContentType) {
	if m.Type == "" {
		m.Type = parent
	}
	field := fmt.Sprintf("content.media[%d].url", i)
	u, err := url.Parse(m.URL)
	switch {
	case m.URL == "" && m.Ref == "":
		c.add(field, "is required")
	case m.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"):
		c.add(field, "must be an http or https URL")
	}
}

func (c *checks) location(l *message.Location) {
	switch {
	case l == nil:
		c.add("content.location", "is required")
	case l.Latitude < -90 || l.Latitude > 90:
		c.add("content.location.latitude", "must be between -90 and 90")
	case l.Longitude < -180 || l.Longitude > 180:
		c.add("content.location.longitude", "must be between -180 and 180")
	}
}

package custom

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/omnihub/omni/channels/message"
)

// cleanText removes what no store takes: NUL and broken UTF-8.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// cleanName is cleanText for what is shown in one line, cut to its limit.
func cleanName(s string) string {
	s = strings.TrimSpace(cleanText(s))
	if len(s) <= maxName {
		return s
	}
	cut := maxName
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// normaliseContent cleans and checks a content in place, and infers its type
// where it is left out.
func normaliseContent(c *message.Content, kind message.Kind, checkURL func(string) error) error {
	if len(c.Text) > maxText {
		return tooLarge("content.text", "has more than %d bytes", maxText)
	}
	c.Text = cleanText(c.Text)
	if err := normaliseMedia(c.Media, checkURL); err != nil {
		return err
	}
	if err := normaliseExtras(c); err != nil {
		return err
	}
	if c.Text == "" && len(c.Buttons) == 1 && len(c.Media) == 0 { // one that was pressed says what it says
		c.Text = c.Buttons[0].Text
	}
	if c.Type == "" {
		c.Type = inferType(c)
	}
	if c.Type != "" && !slices.Contains(message.ContentTypes(), c.Type) {
		return invalid("content.type", "must be one of %s", joinTypes(message.ContentTypes()))
	}
	if kind == message.KindMessage || kind == message.KindEdit {
		return checkPresent(c)
	}
	return nil
}

func inferType(c *message.Content) message.ContentType {
	switch {
	case c.Reaction != nil:
		return message.TypeReaction
	case c.Location != nil:
		return message.TypeLocation
	case c.Contact != nil:
		return message.TypeContact
	case c.Poll != nil:
		return message.TypePoll
	case len(c.Buttons) > 0:
		return message.TypeButtons
	case len(c.Media) > 0:
		return c.Media[0].Type
	case c.Text != "":
		return message.TypeText
	default:
		return ""
	}
}

// checkPresent says which field a content of its type lacks.
func checkPresent(c *message.Content) error {
	missing := ""
	switch c.Type {
	case "":
		missing = "content"
	case message.TypeText:
		if c.Text == "" && len(c.Media) == 0 {
			missing = "content.text"
		}
	case message.TypeImage, message.TypeAudio, message.TypeVideo, message.TypeDocument, message.TypeSticker:
		if len(c.Media) == 0 {
			missing = "content.media"
		}
	case message.TypeLocation:
		if c.Location == nil {
			missing = "content.location"
		}
	case message.TypeContact:
		if c.Contact == nil {
			missing = "content.contact"
		}
	case message.TypePoll:
		if c.Poll == nil {
			missing = "content.poll"
		}
	case message.TypeReaction:
		if c.Reaction == nil {
			missing = "content.reaction"
		}
	case message.TypeButtons:
		if len(c.Buttons) == 0 {
			missing = "content.buttons"
		}
	}
	if missing != "" {
		return invalid(missing, "is required")
	}
	return nil
}

var mediaTypes = []message.ContentType{message.TypeImage, message.TypeAudio, message.TypeVideo, message.TypeDocument, message.TypeSticker}

func normaliseMedia(media []message.Media, checkURL func(string) error) error {
	if len(media) > maxAttachments {
		return invalid("content.media", "has more than %d attachments", maxAttachments)
	}
	for i := range media {
		m := &media[i]
		field := fmt.Sprintf("content.media[%d]", i)
		m.MimeType, m.Filename = cleanName(m.MimeType), cleanName(m.Filename)
		m.Ref = "" // a program has no handles of its own: its bytes are behind a URL
		if m.Type == "" {
			m.Type = typeOfMime(m.MimeType)
		}
		switch {
		case !slices.Contains(mediaTypes, m.Type):
			return invalid(field+".type", "must be one of %s", joinTypes(mediaTypes))
		case m.URL == "":
			return invalid(field+".url", "is required")
		case len(m.URL) > maxURL:
			return invalid(field+".url", "has more than %d bytes", maxURL)
		case m.Size < 0:
			return invalid(field+".size", "must not be negative")
		case m.URL != cleanText(m.URL) || strings.ContainsRune(m.URL, '\uFFFD'):
			return invalid(field+".url", "is not a URL")
		}
		if err := checkURL(m.URL); err != nil {
			return invalid(field+".url", "can never be fetched: %s", err)
		}
	}
	return nil
}

func typeOfMime(mime string) message.ContentType {
	switch kind, _, _ := strings.Cut(strings.ToLower(mime), "/"); kind {
	case "image":
		return message.TypeImage
	case "audio":
		return message.TypeAudio
	case "video":
		return message.TypeVideo
	default:
		return message.TypeDocument
	}
}

func normaliseExtras(c *message.Content) error {
	if r := c.Reaction; r != nil {
		if r.Emoji = cleanName(r.Emoji); r.Emoji == "" && !r.Removed {
			return invalid("content.reaction.emoji", "is required")
		}
	}
	if l := c.Location; l != nil {
		l.Name = cleanName(l.Name)
		if math.Abs(l.Latitude) > 90 {
			return invalid("content.location.latitude", "must be between -90 and 90")
		}
		if math.Abs(l.Longitude) > 180 {
			return invalid("content.location.longitude", "must be between -180 and 180")
		}
	}
	if p := c.Contact; p != nil {
		p.Name, p.Phone = cleanName(p.Name), cleanName(p.Phone)
	}
	if p := c.Poll; p != nil {
		if p.Question = cleanName(p.Question); len(p.Options) > maxListed {
			return invalid("content.poll.options", "has more than %d entries", maxListed)
		}
		for i := range p.Options {
			p.Options[i] = cleanName(p.Options[i])
		}
	}
	if len(c.Buttons) > maxListed {
		return invalid("content.buttons", "has more than %d entries", maxListed)
	}
	for i := range c.Buttons {
		c.Buttons[i].ID, c.Buttons[i].Text = cleanName(c.Buttons[i].ID), cleanName(c.Buttons[i].Text)
	}
	return nil
}

func joinTypes(types []message.ContentType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

package omni

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/omnihub/omni/channels/message"
)

// The bounds of one message. No platform comes near them.
const (
	maxAttachments = 32
	maxListed      = 256
	maxButtonText  = 256  // characters
	maxButtonID    = 1024 // bytes
)

// Fault is what is wrong with one field, for people.
type Fault struct{ Field, Reason string }

// ContentFaults lists what a content lacks to be sent, by its fields. An
// attachment without a type gets that of the content.
func ContentFaults(v *message.Content) []Fault {
	var f faults
	if !slices.Contains(message.ContentTypes(), v.Type) {
		names := make([]string, 0, len(message.ContentTypes()))
		for _, t := range message.ContentTypes() {
			names = append(names, string(t))
		}
		f.add("type", "must be one of: "+strings.Join(names, ", "))
		return f
	}
	if strings.ContainsRune(v.Text, 0) {
		f.add("text", "must not contain NUL")
	}
	f.needs(v)
	if len(v.Media) > maxAttachments {
		f.add("media", fmt.Sprintf("has more than %d attachments", maxAttachments))
		return f
	}
	if len(v.Buttons) > maxListed {
		f.add("buttons", fmt.Sprintf("has more than %d entries", maxListed))
	}
	for i, b := range v.Buttons[:min(len(v.Buttons), maxListed)] {
		f.button(i, b)
	}
	if v.Poll != nil && len(v.Poll.Options) > maxListed {
		f.add("poll.options", fmt.Sprintf("has more than %d entries", maxListed))
	}
	for i := range v.Media {
		f.media(i, &v.Media[i], v.Type)
	}
	return f
}

type faults []Fault

func (f *faults) add(field, reason string) { *f = append(*f, Fault{field, reason}) }

// needs says what the type cannot do without.
func (f *faults) needs(v *message.Content) {
	switch v.Type {
	case message.TypeText:
		if strings.TrimSpace(v.Text) == "" {
			f.add("text", "is required")
		}
	case message.TypeImage, message.TypeAudio, message.TypeVideo, message.TypeDocument, message.TypeSticker:
		if len(v.Media) == 0 {
			f.add("media", "is required: one attachment at least")
		}
	case message.TypeLocation:
		f.location(v.Location)
	case message.TypeContact:
		if v.Contact == nil || v.Contact.Name == "" {
			f.add("contact.name", "is required")
		}
	case message.TypePoll:
		if v.Poll == nil || v.Poll.Question == "" {
			f.add("poll.question", "is required")
		} else if len(v.Poll.Options) < 2 {
			f.add("poll.options", "needs two at least")
		}
	case message.TypeReaction:
		if v.Reaction == nil || v.Reaction.Emoji == "" && !v.Reaction.Removed {
			f.add("reaction.emoji", "is required")
		}
	case message.TypeButtons:
		if len(v.Buttons) == 0 {
			f.add("buttons", "is required: one at least")
		}
	}
}

func (f *faults) button(i int, b message.Button) {
	field := fmt.Sprintf("buttons[%d].", i)
	switch {
	case strings.TrimSpace(b.Text) == "":
		f.add(field+"text", "is required")
	case utf8.RuneCountInString(b.Text) > maxButtonText:
		f.add(field+"text", fmt.Sprintf("has more than %d characters", maxButtonText))
	}
	if len(b.ID) > maxButtonID {
		f.add(field+"id", fmt.Sprintf("has more than %d bytes", maxButtonID))
	}
}

func (f *faults) media(i int, m *message.Media, parent message.ContentType) {
	if m.Type == "" {
		m.Type = parent
	}
	field := fmt.Sprintf("media[%d].url", i)
	u, err := url.Parse(m.URL)
	switch {
	case m.URL == "" && m.Ref == "":
		f.add(field, "is required")
	case strings.Contains(m.Ref, "://"):
		// Platforms take either in one place: what is refused as a URL must not get there as a handle.
		f.add(fmt.Sprintf("media[%d].ref", i), "must be the platform's own handle, not a URL")
	case m.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"):
		f.add(field, "must be an http or https URL")
	}
}

func (f *faults) location(l *message.Location) {
	switch {
	case l == nil:
		f.add("location", "is required")
	case l.Latitude < -90 || l.Latitude > 90:
		f.add("location.latitude", "must be between -90 and 90")
	case l.Longitude < -180 || l.Longitude > 180:
		f.add("location.longitude", "must be between -180 and 180")
	}
}

package omni

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// PartsOptions say what the bubbles of an answer may be.
type PartsOptions struct {
	Caps     channels.Capabilities
	Auto     bool                      // SplitOptions.Auto
	CheckURL func(rawURL string) error // refuses addresses that are not called; nil: none
}

// PartFault is what keeps an answer's part from being sent.
type PartFault struct {
	Field  string // "parts[1].media[0].url"
	Reason string
}

func (e *PartFault) Error() string { return e.Field + " " + e.Reason }

// Bubbles makes the bubbles of an answer. Texts are split; what the channel
// cannot show is said in words (degraded counts these). A part that is not
// whole, or that points to an address that is not called, is a *PartFault; so
// are more bubbles than MaxParts. Behind the words come the actions that are
// messages; of these, what cannot be sent gets a Problem.
func (r *AgentReply) Bubbles(o PartsOptions) (bubbles []message.Content, degraded int, err error) {
	if bubbles, degraded, err = r.wordBubbles(o); err != nil {
		return nil, 0, err
	}
	more, inWords := r.partBubbles(o, MaxParts-len(bubbles))
	return append(bubbles, more...), degraded + inWords, nil
}

// wordBubbles are those of the parts, or of the text.
func (r *AgentReply) wordBubbles(o PartsOptions) (bubbles []message.Content, degraded int, err error) {
	if len(r.Parts) == 0 {
		bubbles, err = textBubbles(r.Text, o)
		return bubbles, 0, err
	}
	if len(r.Parts) > MaxParts {
		return nil, 0, &PartFault{Field: "parts", Reason: fmt.Sprintf("are more than %d", MaxParts)}
	}
	for i, part := range r.Parts {
		if err := checkPart(fmt.Sprintf("parts[%d]", i), &part, o.CheckURL); err != nil {
			return nil, 0, err
		}
		made, inWords := partBubble(part, o)
		if inWords {
			degraded++
		}
		bubbles = append(bubbles, made...)
	}
	if len(bubbles) > MaxParts {
		return nil, 0, &PartFault{Field: "parts", Reason: fmt.Sprintf("would be %d messages, more than %d", len(bubbles), MaxParts)}
	}
	return bubbles, degraded, nil
}

// textBubbles are those of a text. One that must be more than MaxParts is not
// sent, as it is not with parts.
func textBubbles(text string, o PartsOptions) ([]message.Content, error) {
	if most := o.Caps.MaxTextLength * MaxParts * utf8.UTFMax; most > 0 && len(text) > most && o.Caps.LengthUnit != channels.UnitGraphemes {
		return nil, &PartFault{Field: "text", Reason: fmt.Sprintf("has %d bytes, and would be more than %d messages", len(text), MaxParts)}
	}
	bubbles := ContentParts(message.Content{Type: message.TypeText, Text: CleanText(text)}, o.Caps, o.Auto)
	if len(bubbles) > MaxParts {
		return nil, &PartFault{Field: "text", Reason: fmt.Sprintf("would be %d messages, more than %d", len(bubbles), MaxParts)}
	}
	return bubbles, nil
}

// Said is all text of an answer, for the log.
func (r *AgentReply) Said() string {
	texts := make([]string, 0, len(r.Parts)+1)
	if len(r.Parts) == 0 && r.Text != "" {
		texts = append(texts, r.Text)
	}
	for _, p := range r.Parts {
		texts = append(texts, saidPart(p))
	}
	for _, a := range r.Actions {
		if a.Part != nil && a.Problem == "" {
			texts = append(texts, saidPart(*a.Part))
		}
	}
	return CleanText(strings.Join(texts, "\n\n"))
}

func saidPart(p message.Content) string {
	if p.Text != "" {
		return p.Text
	}
	return "[" + string(p.Type) + "]"
}

// checkPart cleans a part and says what is wrong with it. An attachment's
// address is checked here, though who fetches it does so, too: the agent's
// author hears of it.
func checkPart(field string, part *message.Content, checkURL func(string) error) error {
	cleanPart(part)
	if faults := ContentFaults(part); len(faults) > 0 {
		return &PartFault{Field: field + "." + faults[0].Field, Reason: faults[0].Reason}
	}
	for i := range part.Media {
		if part.Media[i].URL == "" || checkURL == nil {
			continue
		}
		if err := checkURL(part.Media[i].URL); err != nil {
			return &PartFault{Field: fmt.Sprintf("%s.media[%d].url", field, i), Reason: err.Error()}
		}
	}
	return nil
}

// cleanPart takes out what Postgres cannot store. What it changes is a copy's.
func cleanPart(c *message.Content) {
	c.Text = CleanText(c.Text)
	c.Media, c.Buttons = slices.Clone(c.Media), slices.Clone(c.Buttons)
	for i := range c.Media {
		m := &c.Media[i]
		for _, s := range []*string{(*string)(&m.Type), &m.URL, &m.MimeType, &m.Filename, &m.Ref} {
			*s = CleanText(*s)
		}
	}
	for i := range c.Buttons {
		c.Buttons[i].ID, c.Buttons[i].Text = CleanText(c.Buttons[i].ID), CleanText(c.Buttons[i].Text)
	}
	if c.Reaction != nil {
		c.Reaction = &message.Reaction{Emoji: CleanText(c.Reaction.Emoji), Removed: c.Reaction.Removed}
	}
	if l := c.Location; l != nil {
		c.Location = &message.Location{Latitude: l.Latitude, Longitude: l.Longitude, Name: CleanText(l.Name)}
	}
	if c.Contact != nil {
		c.Contact = &message.Contact{Name: CleanText(c.Contact.Name), Phone: CleanText(c.Contact.Phone)}
	}
	if p := c.Poll; p != nil {
		c.Poll = &message.Poll{Question: CleanText(p.Question), Multiple: p.Multiple}
		for _, option := range p.Options {
			c.Poll.Options = append(c.Poll.Options, CleanText(option))
		}
	}
}

// inWords is a content as Markdown, for channels that cannot show it.
func inWords(c message.Content) string {
	var lines []string
	add := func(line string) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	add(c.Text)
	for _, m := range c.Media {
		switch {
		case m.URL != "":
			add(m.URL)
		case m.Filename != "":
			add(fmt.Sprintf("[%s: %s]", m.Type, m.Filename))
		default:
			add("[" + string(m.Type) + "]")
		}
	}
	if c.Location != nil {
		add(fmt.Sprintf("%s (%g, %g)", c.Location.Name, c.Location.Latitude, c.Location.Longitude))
	}
	if c.Contact != nil {
		add(c.Contact.Name + " " + c.Contact.Phone)
	}
	if c.Poll != nil {
		add(c.Poll.Question)
		for _, option := range c.Poll.Options {
			add("- " + option)
		}
	}
	for _, b := range c.Buttons {
		add("- " + b.Text)
	}
	if c.Reaction != nil {
		add(c.Reaction.Emoji)
	}
	return strings.Join(lines, "\n")
}

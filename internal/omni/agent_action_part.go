package omni

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// The bounds of buttons that an agent asks for as an action.
const (
	maxActionButtons = 20
	maxActionLabel   = 200 // characters

	problemButtons    = "buttons must be a list of 1 to 20 texts, or of objects with text and id"
	problemButtonText = "text must be what the buttons stand under"
	problemURL        = "url must be the address of a file"
	problemMediaType  = "mediaType must be one of: image, audio, video, document"
	problemSilent     = "nothing is said where no_reply is asked for"
)

// Types of media that an agent may ask for.
var actionMedia = []message.ContentType{message.TypeImage, message.TypeAudio, message.TypeVideo, message.TypeDocument}

// isPart reports whether an action is a message of its own, said behind the words.
func (t AgentActionType) isPart() bool { return t == ActionButtons || t == ActionMedia }

// parseButtons reads what a message with buttons needs.
func (a *AgentAction) parseButtons(raw json.RawMessage) {
	var in struct {
		Text    string            `json:"text"`
		Buttons []json.RawMessage `json:"buttons"`
	}
	if json.Unmarshal(raw, &in) != nil || len(in.Buttons) == 0 || len(in.Buttons) > maxActionButtons {
		a.Problem = problemButtons
		return
	}
	part := message.Content{Type: message.TypeButtons, Text: strings.TrimSpace(CleanText(in.Text))}
	if part.Text == "" {
		a.Problem = problemButtonText
		return
	}
	for i, raw := range in.Buttons {
		var b message.Button
		if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '"' {
			_ = json.Unmarshal(raw, &b.Text) // what is no text stays empty, and is refused below
		} else if json.Unmarshal(raw, &b) != nil {
			b = message.Button{}
		}
		b.Text = cutRunes(strings.TrimSpace(CleanText(b.Text)), maxActionLabel)
		if b.ID = cutRunes(strings.TrimSpace(CleanText(b.ID)), maxActionLabel); b.ID == "" {
			b.ID = strconv.Itoa(i + 1)
		}
		if b.Text == "" {
			a.Problem = problemButtons
			return
		}
		part.Buttons = append(part.Buttons, b)
	}
	a.Part = &part
}

// parseMedia reads what a file needs. Whether its address may be called is
// looked at where the answer's messages are made.
func (a *AgentAction) parseMedia(raw json.RawMessage) {
	var in struct {
		URL       string              `json:"url"`
		MediaType message.ContentType `json:"mediaType"`
		Text      string              `json:"text"`
		Filename  string              `json:"filename"`
	}
	switch err := json.Unmarshal(raw, &in); {
	case err != nil || strings.TrimSpace(in.URL) == "":
		a.Problem = problemURL
		return
	case in.MediaType == "":
		in.MediaType = message.TypeDocument
	case !slices.Contains(actionMedia, in.MediaType):
		a.Problem = problemMediaType
		return
	}
	a.Part = &message.Content{Type: in.MediaType, Text: strings.TrimSpace(CleanText(in.Text)),
		Media: []message.Media{{Type: in.MediaType, URL: strings.TrimSpace(CleanText(in.URL)), Filename: CleanText(in.Filename)}}}
}

// partBubbles are the messages of the actions that are ones. One that cannot be
// sent gets a Problem, and the rest of the answer goes out all the same: who
// asks for it is most often a model, which would only ask again.
func (r *AgentReply) partBubbles(o PartsOptions, room int) (bubbles []message.Content, degraded int) {
	silent := HasAction(r.Actions, ActionNoReply)
	for i := range r.Actions {
		a := &r.Actions[i]
		if !a.Type.isPart() || a.Problem != "" || a.Part == nil {
			continue
		}
		if silent {
			a.Problem = problemSilent
			continue
		}
		part := *a.Part
		if err := checkPart(string(a.Type), &part, o.CheckURL); err != nil {
			a.Problem = cutRunes(err.Error(), maxActionReason)
			continue
		}
		made, inWords := partBubble(part, o)
		if len(bubbles)+len(made) > room {
			a.Problem = fmt.Sprintf("would be more than %d messages", MaxParts)
			continue
		}
		if inWords {
			degraded++
		}
		bubbles = append(bubbles, made...)
	}
	return bubbles, degraded
}

// partBubble makes the bubbles of one part, in words where the channel cannot
// show it.
func partBubble(part message.Content, o PartsOptions) (bubbles []message.Content, degraded bool) {
	if part.Type == message.TypeReaction || !canSend(o.Caps, part.Type) {
		part = message.Content{Type: message.TypeText, Text: inWords(part)}
		degraded = true
	}
	if part.Text != "" && len(part.Media) == 0 && part.Type != message.TypeText && part.Type != message.TypeButtons {
		// A caption where no channel has a place for one.
		bubbles = ContentParts(message.Content{Type: message.TypeText, Text: part.Text}, o.Caps, o.Auto)
		part.Text = ""
	}
	return append(bubbles, ContentParts(part, o.Caps, o.Auto)...), degraded
}

func canSend(caps channels.Capabilities, t message.ContentType) bool {
	return slices.Contains(caps.Send, t)
}

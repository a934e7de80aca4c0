package provider

import (
	"encoding/json"
	"mime"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// answerType is the media type of a data part that holds an answer as webhook
// agents write it: text, parts, actions, usage. Other data is shown as it is.
const answerType = "application/vnd.omni.answer+json"

// a2aReply makes an answer of parts: texts become one text; with files between
// them the answer is sent part by part.
func a2aReply(parts a2a.ContentParts, state a2a.TaskState) (omni.AgentReply, error) {
	var reply omni.AgentReply
	if state != "" {
		reply.Details = map[string]any{"taskState": string(state)}
	}
	var texts []string
	files := false
	flush := func() {
		if text := strings.Join(texts, "\n\n"); strings.TrimSpace(text) != "" {
			reply.Parts = append(reply.Parts, message.Content{Type: message.TypeText, Text: text})
		}
		texts = nil
	}
	for _, p := range parts {
		if p == nil {
			continue
		}
		switch v := p.Content.(type) {
		case a2a.Text:
			texts = append(texts, string(v))
		case a2a.Data:
			if answer, ok := a2aAnswer(p.MediaType, v); ok {
				if answer.Text != "" {
					texts = append(texts, answer.Text)
				}
				if len(answer.Parts) > 0 {
					flush()
					files = true
					reply.Parts = append(reply.Parts, answer.Parts...)
				}
				reply.Actions, reply.Usage = append(reply.Actions, answer.Actions...), answer.Usage
				continue
			}
			if b, err := json.Marshal(v.Value); err == nil {
				texts = append(texts, "```json\n"+string(b)+"\n```")
			}
		case a2a.URL:
			flush()
			files = true
			kind := mediaType(p.MediaType)
			reply.Parts = append(reply.Parts, message.Content{Type: kind,
				Media: []message.Media{{Type: kind, URL: string(v), MimeType: p.MediaType, Filename: p.Filename}}})
		case a2a.Raw: // there is nowhere to fetch it from
			texts = append(texts, "[file: "+speaker(p.Filename)+"]")
		}
	}
	flush()
	switch {
	case len(reply.Parts) == 0 && len(reply.Actions) > 0:
	case len(reply.Parts) == 0:
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentEmpty, Reason: "the agent answered nothing"}
	case !files:
		reply.Text, reply.Parts = reply.Parts[0].Text, nil
	}
	return reply, nil
}

// a2aAnswer reads a data part that is an answer.
func a2aAnswer(mediaType string, data a2a.Data) (answer omni.AgentReply, ok bool) {
	kind, _, err := mime.ParseMediaType(mediaType)
	if err != nil || kind != answerType {
		return omni.AgentReply{}, false
	}
	raw, err := json.Marshal(data.Value)
	if err != nil {
		return omni.AgentReply{}, false
	}
	var a omni.AgentAnswer
	if json.Unmarshal(raw, &a) != nil {
		return omni.AgentReply{}, false
	}
	return a.Reply(), true
}

// mediaType is the kind of content that a MIME type is sent as.
func mediaType(mimeType string) message.ContentType {
	base, _, err := mime.ParseMediaType(mimeType)
	if err != nil {
		return message.TypeDocument
	}
	switch kind, _, _ := strings.Cut(base, "/"); kind {
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

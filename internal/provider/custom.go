package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/omnihub/omni/internal/omni"
)

// custom speaks to a service of any shape: the agent's configuration says what
// is asked and where the answer is.
type custom struct{ deps Deps }

func (c *custom) reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	cfg := omni.CustomAgent{}
	if req.Config.Custom != nil {
		cfg = *req.Config.Custom
	}
	body, err := cfg.Render(newTemplateValues(req))
	if err != nil {
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentBadRequest, Reason: "custom.body: " + err.Error()}
	}
	x := &exchange{}
	answer, err := x.post(ctx, c.deps.HTTP, plainCall{method: cfg.Method, url: req.Config.APIURL, header: customHeader(cfg, req.APIKey),
		body: body, turn: req.TurnID, secrets: []string{req.APIKey}})
	if err != nil {
		return omni.AgentReply{}, err
	}
	reply, err := customAnswer(cfg.ResponsePath, answer)
	if err != nil {
		return omni.AgentReply{}, answerFailure(ctx, x, err, req.APIKey)
	}
	return reply, nil
}

func customHeader(cfg omni.CustomAgent, key string) http.Header {
	h := http.Header{}
	for name, value := range cfg.Headers {
		h.Set(name, value)
	}
	h.Set("Content-Type", typeJSON)
	if name, value := cfg.Authorization(key); value != "" {
		h.Set(name, value)
	}
	return h
}

// customAnswer finds the answer. Without a path it is what a webhook agent
// would answer, or a plain text.
func customAnswer(path string, body []byte) (omni.AgentReply, error) {
	if path == "" {
		if json.Valid(body) { // unlike gjson, it goes only so deep
			if r := gjson.ParseBytes(body); r.Type == gjson.String {
				return said(r.String())
			}
			return readAnswer(body)
		}
		if text := strings.TrimSpace(string(body)); strings.HasPrefix(text, "<") || strings.HasPrefix(text, "{") {
			return omni.AgentReply{}, errors.New("neither JSON nor a plain text")
		}
		return said(string(body))
	}
	switch {
	case !json.Valid(body):
		return omni.AgentReply{}, errors.New("not JSON")
	case !omni.IsPlainPath(path):
		return omni.AgentReply{}, errors.New("custom.responsePath does more than point to something")
	}
	found := gjson.GetBytes(body, path)
	switch {
	case !found.Exists():
		return omni.AgentReply{}, errors.New("nothing at custom.responsePath")
	case found.Type == gjson.Null:
		return omni.AgentReply{}, errNothingSaid
	case found.IsArray():
		var parts []omni.AgentPart
		if err := json.Unmarshal([]byte(found.Raw), &parts); err != nil {
			return omni.AgentReply{}, err
		}
		reply := (&omni.AgentAnswer{Parts: parts}).Reply()
		if len(reply.Parts) == 0 {
			return reply, errNothingSaid
		}
		return reply, nil
	case found.IsObject():
		return readAnswer([]byte(found.Raw))
	default:
		return said(found.String())
	}
}

func said(text string) (omni.AgentReply, error) {
	if strings.TrimSpace(text) == "" {
		return omni.AgentReply{}, errNothingSaid
	}
	return omni.AgentReply{Text: text}, nil
}

// newTemplateValues are what placeholders stand for.
func newTemplateValues(req omni.AgentRequest) map[string]any {
	b := newTurnBody(req)
	person, personName := "", ""
	if b.Person != nil {
		person, personName = b.Person.ID.UUID.String(), b.Person.Name
	}
	return map[string]any{
		"request": b, "messages": b.Messages, "history": b.History,
		"text": batchText(req), "turnId": b.TurnID.String(), "session": b.Session, "model": b.Model, "systemPrompt": b.SystemPrompt,
		"instance.id": b.Instance.ID.String(), "instance.name": b.Instance.Name, "instance.channel": b.Instance.Channel,
		"chat.id": b.Chat.ID.String(), "chat.externalId": b.Chat.ExternalID, "chat.type": string(b.Chat.Type), "chat.name": b.Chat.Name,
		"person.id": person, "person.name": personName, "sender.id": b.Sender.ID, "sender.name": b.Sender.Name,
	}
}

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// agno runs an agent of an Agno server. The server keeps the conversation of a
// session, and knows its own instructions: neither history nor system prompt
// is sent.
type agno struct{ deps Deps }

// agnoRun is what is kept of a run, or of one event of it.
type agnoRun struct {
	Event   string          `json:"event"`
	Content json.RawMessage `json:"content"`
	Status  string          `json:"status"`
	Model   string          `json:"model"`
	Metrics struct {
		Input  int64 `json:"input_tokens"`
		Output int64 `json:"output_tokens"`
	} `json:"metrics"`
}

func (a *agno) reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	if req.Config.Model == "" {
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentBadRequest, Reason: "model must name the agent of the Agno server"}
	}
	stream := req.Config.Streaming
	user := req.Sender.ID
	if req.Person.ID.Valid {
		user = req.Person.ID.UUID.String()
	}
	form := url.Values{"message": {batchText(req)}, "stream": {strconv.FormatBool(stream)}, "session_id": {req.SessionKey}, "user_id": {user}}
	x := &exchange{stream: stream}
	res, err := x.open(ctx, a.deps.HTTP, plainCall{turn: req.TurnID, header: bearer(req.APIKey, typeForm), body: []byte(form.Encode()),
		url: strings.TrimRight(req.Config.APIURL, "/") + "/agents/" + url.PathEscape(req.Config.Model) + "/runs", secrets: []string{req.APIKey}})
	if err != nil {
		return omni.AgentReply{}, err
	}
	defer res.Body.Close()
	var run agnoRun
	if stream {
		run, err = agnoStream(res, req.OnDelta)
	} else {
		err = json.Unmarshal(x.body, &run)
	}
	var failed *omni.AgentError
	switch {
	case ctx.Err() != nil:
		return omni.AgentReply{}, ctx.Err()
	case errors.Is(err, errCut) && x.err == nil:
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentCut, Status: x.status, Reason: err.Error()}
	case errors.As(err, &failed):
		failed.Status = x.status
		return omni.AgentReply{}, scrubbed(failed, req.APIKey)
	case err != nil:
		return omni.AgentReply{}, x.failure(ctx, err, req.APIKey)
	}
	return run.reply(x, req.APIKey)
}

// reply reads a run that is over.
func (r *agnoRun) reply(x *exchange, key string) (omni.AgentReply, error) {
	text := contentText(r.Content)
	answer, structured := agnoAnswer(r.Content)
	switch {
	case r.Status == "ERROR", r.Status == "CANCELLED":
		return omni.AgentReply{}, scrubbed(&omni.AgentError{Kind: omni.AgentTransient, Status: x.status,
			Reason: "the run ended as " + r.Status + ": " + text}, key)
	case r.Content == nil:
		return omni.AgentReply{}, x.failure(context.Background(), errors.New("it has no content"), key)
	case structured && strings.TrimSpace(answer.Text) == "" && len(answer.Parts) == 0 && len(answer.Actions) == 0, strings.TrimSpace(text) == "":
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentEmpty, Status: x.status, Reason: "the run has no content"}
	}
	details := map[string]any{}
	if r.Model != "" {
		details["model"] = omni.CleanText(r.Model)
	}
	if !structured {
		answer.Text = text
	}
	answer.Details, answer.Usage = details, usageOf(r.Metrics.Input, r.Metrics.Output)
	return answer, nil
}

// agnoAnswer reads the content of an agent with a structured output: an object
// with text, parts or actions, as webhook agents answer.
func agnoAnswer(raw json.RawMessage) (answer omni.AgentReply, ok bool) {
	var said map[string]json.RawMessage
	if json.Unmarshal(raw, &said) != nil || said["text"] == nil && said["parts"] == nil && said["actions"] == nil {
		return omni.AgentReply{}, false
	}
	var a omni.AgentAnswer
	if json.Unmarshal(raw, &a) != nil {
		return omni.AgentReply{}, false // an object of its own kind: shown as it is
	}
	return a.Reply(), true
}

// agnoStream reads the events of a run. The last one holds all of it.
func agnoStream(res *http.Response, onDelta func(string)) (agnoRun, error) {
	events := ssestream.NewDecoder(res)
	var text strings.Builder
	var last json.RawMessage // of contents that are no text
	count := 0
	for events.Next() {
		event := events.Event()
		var e agnoRun
		if len(event.Data) == 0 {
			continue
		}
		if err := json.Unmarshal(event.Data, &e); err != nil {
			return agnoRun{}, err
		}
		count++
		if e.Event == "" {
			e.Event = event.Type
		}
		switch e.Event {
		case "RunContent", "RunResponseContent", "RunResponse":
			var piece string
			if json.Unmarshal(e.Content, &piece) != nil { // an object comes whole, and is read at the end
				if len(e.Content) > 0 {
					last = e.Content
				}
				continue
			}
			text.WriteString(piece)
			if onDelta != nil && piece != "" {
				onDelta(piece)
			}
		case "RunError", "RunCancelled":
			return agnoRun{}, &omni.AgentError{Kind: omni.AgentTransient, Reason: "the run ended as " + e.Event + ": " + contentText(e.Content)}
		case "RunCompleted":
			switch {
			case contentText(e.Content) != "":
			case text.Len() == 0 && len(last) > 0:
				e.Content = last
			default:
				whole, err := json.Marshal(text.String())
				if err != nil {
					return agnoRun{}, err
				}
				e.Content = whole
			}
			return e, nil
		}
	}
	switch {
	case events.Err() != nil:
		return agnoRun{}, events.Err()
	case count == 0:
		return agnoRun{}, errors.New("the stream held no events")
	default:
		return agnoRun{}, errCut
	}
}

// contentText is a value of JSON as text: strings as they are, anything else
// as it is written.
func contentText(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

var lineBreaks = regexp.MustCompile("\r\n|[\n\r\u0085\u2028\u2029\v\f]")

// batchText is a batch as one text, for services that take a single one: in
// groups each message has its speaker in front, and its further lines are set
// in, so that none of them looks like somebody else's message.
func batchText(req omni.AgentRequest) string {
	texts := make([]string, 0, len(req.Messages))
	for _, m := range req.Messages {
		if text := messageText(req, m); text != "" {
			if req.Chat.Type == message.ChatGroup {
				text = lineBreaks.ReplaceAllString(text, "\n  ")
			}
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "\n")
}

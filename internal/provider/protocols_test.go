package provider_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

func bearerOf(h http.Header) string { return strings.TrimPrefix(h.Get("Authorization"), "Bearer ") }

// protocols are the services that the suite is run against.
func protocols() []protocol {
	return []protocol{openAIProtocol(false), openAIProtocol(true), anthropicProtocol(false), anthropicProtocol(true),
		agnoProtocol(false), agnoProtocol(true), webhookProtocol(), customProtocol(), a2aProtocol(false), a2aProtocol(true)}
}

func openAIProtocol(stream bool) protocol {
	p := protocol{name: "openai", stream: stream, path: "/chat/completions", past: true, fine: `"stop"`, tooLong: `"length"`, auth: bearerOf, words: openAIWords,
		answer: func(text string) string {
			return `{"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":` + quote(text) + `}}]}`
		},
		empty: `{"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":" "}}]}`,
	}
	if stream {
		p.answer = func(text string) string { return chunks(text) + chunk("", "stop") + "data: [DONE]\n\n" }
		p.cut, p.empty = chunk("Hi", ""), chunk("", "stop")+"data: [DONE]\n\n"
	}
	return p
}

// chunks cuts a text in two, as streams do.
func chunks(text string) string {
	half := len(text) / 2
	return strings.ReplaceAll(chunk("@", ""), `"@"`, quote(text[:half])) + strings.ReplaceAll(chunk("@", ""), `"@"`, quote(text[half:]))
}

func openAIWords(t *testing.T, _ http.Header, body []byte) (w wire) {
	t.Helper()
	var b struct {
		Messages []struct {
			Role, Name, Content string
		} `json:"messages"`
	}
	require.NoError(t, json.Unmarshal(body, &b))
	for _, m := range b.Messages {
		switch m.Role {
		case "system":
			w.instructions += m.Content
		case "user":
			w.said = append(w.said, m.Content)
			if m.Name != "" {
				w.names = append(w.names, m.Name)
			}
		default:
			require.Fail(t, "another role", m.Role)
		}
	}
	return w
}

func anthropicProtocol(stream bool) protocol {
	p := protocol{name: "anthropic", stream: stream, path: "/v1/messages", past: true, fine: `"end_turn"`, tooLong: `"max_tokens"`, words: anthropicWords,
		auth: func(h http.Header) string { return h.Get("X-Api-Key") },
		answer: func(text string) string {
			return `{"id":"m","type":"message","role":"assistant","model":"m","stop_reason":"end_turn","content":[{"type":"text","text":` +
				quote(text) + `}],"usage":{"input_tokens":7,"output_tokens":3}}`
		},
		empty: `{"id":"m","type":"message","role":"assistant","model":"m","stop_reason":"end_turn","content":[]}`,
	}
	if stream {
		start := event("message_start", `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":7,"output_tokens":1}}}`) +
			event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
		delta := func(text string) string {
			return event("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+quote(text)+`}}`)
		}
		end := event("content_block_stop", `{"type":"content_block_stop","index":0}`) +
			event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}`) +
			event("message_stop", `{"type":"message_stop"}`)
		p.answer = func(text string) string {
			return start + event("ping", `{"type":"ping"}`) + delta(text[:len(text)/2]) + delta(text[len(text)/2:]) + end
		}
		p.cut, p.empty = start+delta("Hi"), start+end
	}
	return p
}

func event(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }

func anthropicWords(t *testing.T, _ http.Header, body []byte) (w wire) {
	t.Helper()
	var b struct {
		System   []struct{ Text string }
		Messages []struct {
			Role    string
			Content []struct{ Type, Text string }
		}
	}
	require.NoError(t, json.Unmarshal(body, &b))
	for _, s := range b.System {
		w.instructions += s.Text
	}
	for _, m := range b.Messages {
		require.Equal(t, "user", m.Role)
		for _, c := range m.Content {
			w.said = append(w.said, c.Text)
		}
	}
	return w
}

func agnoProtocol(stream bool) protocol {
	p := protocol{name: "agno", stream: stream, path: "/agents/model-1/runs", remembers: true, auth: bearerOf,
		answer: func(text string) string { return `{"run_id":"r","status":"COMPLETED","content":` + quote(text) + `}` },
		empty:  `{"run_id":"r","status":"COMPLETED","content":""}`,
		words: func(t *testing.T, _ http.Header, body []byte) wire {
			form, err := url.ParseQuery(string(body))
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(stream), form.Get("stream"))
			require.NotEmpty(t, form.Get("session_id"))
			require.NotEmpty(t, form.Get("user_id"))
			require.Len(t, form, 4)
			return wire{said: form["message"]}
		},
	}
	if stream {
		content := func(text string) string {
			return event("RunContent", `{"event":"RunContent","content":`+quote(text)+`}`)
		}
		p.answer = func(text string) string {
			return event("RunStarted", `{"event":"RunStarted"}`) + content(text[:len(text)/2]) + content(text[len(text)/2:]) +
				event("RunCompleted", `{"event":"RunCompleted","content":`+quote(text)+`}`)
		}
		p.cut = event("RunStarted", `{"event":"RunStarted"}`) + content("Hi")
		p.empty = event("RunCompleted", `{"event":"RunCompleted","content":""}`)
	}
	return p
}

func webhookProtocol() protocol {
	return protocol{name: "webhook", path: "/", auth: bearerOf, words: turnBodyWords,
		answer: func(text string) string { return `{"text":` + quote(text) + `}` }, empty: `{"text":""}`}
}

func turnBodyWords(t *testing.T, _ http.Header, body []byte) (w wire) {
	t.Helper()
	var b struct {
		SystemPrompt string `json:"systemPrompt"`
		Messages     []struct {
			Text   string
			Sender struct{ ID, Name string }
		}
	}
	require.NoError(t, json.Unmarshal(body, &b))
	w.instructions = b.SystemPrompt
	for _, m := range b.Messages {
		w.said, w.names = append(w.said, m.Text), append(w.names, m.Sender.Name)
	}
	return w
}

func customProtocol() protocol {
	return protocol{name: "custom", path: "/ask", auth: func(h http.Header) string { return h.Get("X-Token") },
		configure: func(cfg *omni.AgentConfig) {
			cfg.APIURL += "/ask"
			if i := strings.IndexByte(cfg.APIURL, '?'); i >= 0 {
				cfg.APIURL = strings.TrimSuffix(cfg.APIURL, "/ask")
			}
			cfg.Custom = &omni.CustomAgent{AuthHeader: "X-Token", ResponsePath: "out.0.say",
				Body: json.RawMessage(`{"rules":"{{systemPrompt}}","ask":{"q":"{{text}}","who":"{{sender.name}}"},"all":"{{messages}}","temperature":0.5}`)}
		},
		answer: func(text string) string { return `{"out":[{"say":` + quote(text) + `}]}` },
		empty:  `{"out":[{"say":""}]}`,
		words: func(t *testing.T, _ http.Header, body []byte) wire {
			var b struct {
				Rules       string
				Ask         struct{ Q, Who string }
				All         []struct{ Text string }
				Temperature json.Number
			}
			var loose map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(body, &loose))
			require.Len(t, loose, 4, "people's words make no fields")
			require.NoError(t, json.Unmarshal(body, &b))
			require.Equal(t, json.Number("0.5"), b.Temperature)
			return wire{instructions: b.Rules, said: []string{b.Ask.Q}, names: []string{b.Ask.Who}}
		},
	}
}

func a2aProtocol(stream bool) protocol {
	method := "SendMessage"
	if stream {
		method = "SendStreamingMessage"
	}
	p := protocol{name: "a2a", stream: stream, path: "/", remembers: true, auth: bearerOf,
		answer: func(text string) string {
			return `{"jsonrpc":"2.0","id":"1","result":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":` + quote(text) + `}]}}}`
		},
		empty: `{"jsonrpc":"2.0","id":"1","result":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":" "}]}}}`,
		words: func(t *testing.T, h http.Header, body []byte) (w wire) {
			require.Equal(t, "1.0", h.Get("A2A-Version"))
			var b struct {
				Method string
				Params struct {
					Message struct {
						MessageID, ContextID, Role string
						Parts                      []struct{ Text string }
					}
				}
			}
			require.NoError(t, json.Unmarshal(body, &b))
			require.Equal(t, method, b.Method)
			require.Equal(t, "chat:1", b.Params.Message.ContextID)
			require.Equal(t, h.Get("Idempotency-Key"), b.Params.Message.MessageID)
			require.Equal(t, "ROLE_USER", b.Params.Message.Role)
			for _, p := range b.Params.Message.Parts {
				w.said = append(w.said, p.Text)
			}
			return w
		},
	}
	if stream {
		p.card = func(url string) string { return a2aCard(url, true) }
		p.answer = func(text string) string {
			return a2aEvent(`{"task":`+task("SUBMITTED", "")+`}`) + a2aPiece(text[:len(text)/2], false) + a2aPiece(text[len(text)/2:], true) + a2aStatus("COMPLETED")
		}
		p.cut = a2aEvent(`{"task":`+task("WORKING", "")+`}`) + a2aPiece("Hi", false)
		p.empty = a2aEvent(`{"task":`+task("WORKING", "")+`}`) + a2aStatus("COMPLETED")
	}
	return p
}

func a2aCard(url string, streaming bool) string {
	return fmt.Sprintf(`{"name":"x","description":"","version":"1","capabilities":{"streaming":%v},"skills":[],
		"supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}`, streaming, url+"/")
}

func a2aEvent(result string) string {
	return `data: {"jsonrpc":"2.0","id":"1","result":` + result + "}\n\n"
}

func a2aPiece(text string, more bool) string {
	return a2aEvent(fmt.Sprintf(`{"artifactUpdate":{"taskId":"t1","contextId":"chat:1","append":%v,"artifact":{"artifactId":"a","parts":[{"text":%s}]}}}`, more, quote(text)))
}

func a2aStatus(state string) string {
	return a2aEvent(`{"statusUpdate":{"taskId":"t1","contextId":"chat:1","status":{"state":"TASK_STATE_` + state + `"}}}`)
}

package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/provider"
)

// streamer is an A2A agent that streams: answers are the bodies by method.
type streamer struct {
	*httptest.Server
	mu      sync.Mutex
	methods []string
}

func newStreamer(t *testing.T, streaming bool, answers map[string]func(w http.ResponseWriter, r *http.Request)) *streamer {
	t.Helper()
	s := &streamer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, a2aCard("http://"+r.Host, streaming))
			return
		}
		var call struct{ Method string }
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.methods = append(s.methods, call.Method)
		s.mu.Unlock()
		answers[call.Method](w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *streamer) ask(t *testing.T, change func(*omni.AgentRequest)) (reply omni.AgentReply, heard string, err error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	req := a2aProtocol(true).request(s.URL)
	var b strings.Builder
	req.OnDelta = func(text string) { b.WriteString(text) }
	if change != nil {
		change(&req)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	reply, err = provider.New(provider.Deps{HTTP: client}).Reply(ctx, req)
	return reply, b.String(), err
}

func events(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { answers(200, "text/event-stream", body)(w, nil) }
}

func result(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		answers(200, "application/json", `{"jsonrpc":"2.0","id":"1",`+body+`}`)(w, nil)
	}
}

func a2aArtifact(id, part string, more bool) string {
	return a2aEvent(fmt.Sprintf(`{"artifactUpdate":{"taskId":"t1","contextId":"chat:1","append":%v,"artifact":{"artifactId":%q,"parts":[%s]}}}`, more, id, part))
}

// What an agent tells while it works is heard as it comes, and what it has made
// in the end is the answer.
func TestA2AStreams(t *testing.T) {
	t.Parallel()
	begun := a2aEvent(`{"task":` + task("SUBMITTED", "") + `}`)
	for name, tc := range map[string]struct{ body, want, heard string }{
		"a message": {a2aEvent(`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"Hi"},{"text":"Ana"}]}}`), "Hi\n\nAna", "Hi\n\nAna"},
		"words":     {begun + a2aPiece("Hi ", false) + a2aStatus("WORKING") + a2aPiece("An", true) + a2aPiece("a", true) + a2aStatus("COMPLETED"), "Hi Ana", "Hi Ana"},
		"two artifacts": {begun + a2aArtifact("a", `{"text":"one"}`, false) + a2aArtifact("b", `{"text":"two"}`, false) + a2aArtifact("b", `{"text":"!"}`, true) +
			a2aStatus("COMPLETED"), "one\n\ntwo!", "one\n\ntwo!"},
		"replaced":         {begun + a2aPiece("draft", false) + a2aPiece("final", false) + a2aStatus("COMPLETED"), "final", "draft"},
		"no task at first": {a2aPiece("Hi", false) + a2aStatus("COMPLETED"), "Hi", "Hi"},
		"a question": {begun + a2aEvent(`{"statusUpdate":{"taskId":"t1","contextId":"c","status":{"state":"TASK_STATE_INPUT_REQUIRED",
			"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"When?"}]}}}}`), "When?", ""},
		"nulls": {begun + a2aArtifact("a", `null,{"text":"Hi"},null`, false) + a2aArtifact("a", `null`, true) + a2aStatus("COMPLETED"), "Hi", "Hi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStreamer(t, true, map[string]func(http.ResponseWriter, *http.Request){"SendStreamingMessage": events(strings.ReplaceAll(tc.body, "\n\t\t\t", ""))})
			got, heard, err := s.ask(t, nil)
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Text)
			require.Equal(t, tc.heard, heard)
			require.Equal(t, []string{"SendStreamingMessage"}, s.methods)
		})
	}
}

// A stream that breaks off is no lost task: it is asked for.
func TestA2ABrokenStreamIsResumed(t *testing.T) {
	t.Parallel()
	begun := a2aEvent(`{"task":`+task("WORKING", "")+`}`) + a2aPiece("Hel", false)
	for name, broken := range map[string]func(http.ResponseWriter, *http.Request){
		"tidily": events(begun),
		"torn": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "50000")
			answers(200, "text/event-stream", begun)(w, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStreamer(t, true, map[string]func(http.ResponseWriter, *http.Request){"SendStreamingMessage": broken,
				"GetTask": result(`"result":` + task("COMPLETED", `,"artifacts":[null,{"artifactId":"a","parts":[{"text":"Hello"}]}]`))})
			got, _, err := s.ask(t, nil)
			require.NoError(t, err)
			require.Equal(t, "Hello", got.Text)
			require.Equal(t, []string{"SendStreamingMessage", "GetTask"}, s.methods)
		})
	}
}

// Agents that do not stream are asked as they can be.
func TestA2AWithoutStreams(t *testing.T) {
	t.Parallel()
	hi := `"result":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"Hi"}]}}`
	for name, tc := range map[string]struct {
		card    bool
		wanted  bool
		stream  func(http.ResponseWriter, *http.Request)
		methods []string
	}{
		"its card says so":    {false, true, nil, []string{"SendMessage"}},
		"nobody wants it":     {true, false, nil, []string{"SendMessage"}},
		"it refuses":          {true, true, result(`"error":{"code":-32004,"message":"no"}`), []string{"SendStreamingMessage", "SendMessage"}},
		"it answers in whole": {true, true, result(hi), []string{"SendStreamingMessage"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStreamer(t, tc.card, map[string]func(http.ResponseWriter, *http.Request){"SendStreamingMessage": tc.stream, "SendMessage": result(hi)})
			got, _, err := s.ask(t, func(req *omni.AgentRequest) { req.Config.Streaming = tc.wanted })
			require.NoError(t, err)
			require.Equal(t, "Hi", got.Text)
			require.Equal(t, tc.methods, s.methods)
		})
	}
	for code, want := range map[int]omni.AgentErrorKind{-32603: omni.AgentTransient, -32000: omni.AgentTransient, -32602: omni.AgentBadRequest} {
		s := newStreamer(t, true, map[string]func(http.ResponseWriter, *http.Request){
			"SendStreamingMessage": result(fmt.Sprintf(`"error":{"code":%d,"message":"no, %s"}`, code, secretKey))})
		_, _, err := s.ask(t, nil)
		var e *omni.AgentError
		require.ErrorAs(t, err, &e)
		require.Equal(t, want, e.Kind)
		require.Equal(t, "no, •••", e.Reason)
	}
}

// A task that nobody waits for any more is cancelled, also while it streams.
func TestA2ACancelsTheStreamedTask(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan struct{})
	s := newStreamer(t, true, map[string]func(http.ResponseWriter, *http.Request){
		"SendStreamingMessage": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, a2aEvent(`{"task":`+task("WORKING", "")+`}`)+a2aPiece("Hi", false))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"CancelTask": func(w http.ResponseWriter, r *http.Request) {
			close(cancelled)
			result(`"result":`+task("CANCELED", ""))(w, r)
		}})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	req := a2aProtocol(true).request(s.URL)
	req.OnDelta = func(string) { cancel() }
	_, err := provider.New(provider.Deps{HTTP: client}).Reply(ctx, req)
	require.ErrorIs(t, err, context.Canceled)
	<-cancelled
}

// A data part of Omni's own type holds an answer as webhook agents write it;
// other data is the agent's own.
func TestA2AActions(t *testing.T) {
	t.Parallel()
	const part = `{"mediaType":"application/vnd.omni.answer+json","data":{"text":"One moment.","parts":[{"type":"location","location":{"latitude":1,"longitude":2}}],
		"actions":[{"type":"handoff","reason":"angry"},{"type":"dance"}],"usage":{"inputTokens":5,"outputTokens":7}}}`
	p := newPeer(t, map[string]func(int) string{"SendMessage": one(`"result":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"Sorry."},` + part +
		`,{"data":{"actions":[{"type":"close"}]}}]}}`)})
	got, err := p.ask(t, nil)
	require.NoError(t, err)
	require.Equal(t, []omni.AgentAction{{Type: omni.ActionHandoff, Reason: "angry"}, {Type: "dance", Problem: "unknown action"}}, got.Actions)
	require.Equal(t, omni.AgentUsage{InputTokens: 5, OutputTokens: 7}, got.Usage)
	require.Equal(t, []message.Content{{Type: message.TypeText, Text: "Sorry.\n\nOne moment."},
		{Type: message.TypeLocation, Location: &message.Location{Latitude: 1, Longitude: 2}},
		{Type: message.TypeText, Text: "```json\n{\"actions\":[{\"type\":\"close\"}]}\n```"}}, got.Parts)

	s := newStreamer(t, true, map[string]func(http.ResponseWriter, *http.Request){"SendStreamingMessage": events(strings.ReplaceAll(
		a2aEvent(`{"task":`+task("WORKING", "")+`}`)+a2aArtifact("a", `{"mediaType":"application/vnd.omni.answer+json","data":{"actions":[{"type":"no_reply"}]}}`, false)+
			a2aStatus("COMPLETED"), "\n\t\t\t", ""))})
	got, _, err = s.ask(t, nil)
	require.NoError(t, err)
	require.Equal(t, []omni.AgentAction{{Type: omni.ActionNoReply}}, got.Actions)
	require.Empty(t, got.Text)
}

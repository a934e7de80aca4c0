package steps

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/workflows"
)

// wild is an agent that does as it likes. It counts what it got rid of.
type wild struct {
	*httptest.Server
	written atomic.Int64
}

func newWild(t *testing.T, answer func(w io.Writer, flush func(), gone <-chan struct{})) *wild {
	t.Helper()
	a := &wild{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/completions") {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		flush := w.(http.Flusher).Flush //nolint:forcetypeassert // the server's own
		answer(writerFunc(func(b []byte) (int, error) {
			n, err := w.Write(b)
			a.written.Add(int64(n))
			return n, err
		}), flush, r.Context().Done())
	}))
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (a *wild) webhook() object {
	return object{"provider": "webhook", "apiUrl": a.URL + "/turn", "apiKey": "token", "retryForSeconds": 1}
}

func (a *wild) streaming() object {
	return object{"provider": "openai", "apiUrl": a.URL + "/v1", "apiKey": "sk-test", "model": "test", "streaming": true,
		"retryForSeconds": 1, "timeoutSeconds": 15}
}

func delta(text string) string {
	return `data: {"choices":[{"index":0,"delta":{"content":"` + text + `"}}]}` + "\n\n"
}

const endOfStream = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"

// fails checks that a message failed, with a reason for people.
func (l *line) fails(t *testing.T, m uuid.UUID, reason string) {
	t.Helper()
	l.site.finishedWithin(t, 60*time.Second, workflows.MessageWorkflowID(m))
	require.Equal(t, "failed", l.site.status(t, m))
	letters := l.site.deadLetters(t, m)
	require.Len(t, letters, 1)
	require.Contains(t, letters[0].error, reason)
	require.GreaterOrEqual(t, l.site.events(t, m)["agent.error"], 1)
}

// An agent that never ends, or says more than anybody reads, is cut off; the
// failure is on record, and others are answered meanwhile.
func TestAgentsThatSayTooMuch(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	bystander := w.newLine(t, nil)
	const enough = 48 << 20 // what is on its way when the hub hangs up
	for name, tt := range map[string]struct {
		agent  func(t *testing.T) (*wild, object)
		reason string
	}{
		"100 MB at once": {func(t *testing.T) (*wild, object) {
			a := newWild(t, func(w io.Writer, _ func(), _ <-chan struct{}) {
				_, _ = io.WriteString(w, `{"text":"`)
				chunk := []byte(strings.Repeat("spam ", 20_000))
				for range 1000 {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
				_, _ = io.WriteString(w, `"}`)
			})
			return a, a.webhook()
		}, "more than 4 MiB"},
		"a stream without an end": {func(t *testing.T) (*wild, object) {
			a := newWild(t, func(w io.Writer, _ func(), gone <-chan struct{}) {
				piece := []byte(delta(strings.Repeat("spam ", 50)))
				for {
					select {
					case <-gone:
						return
					default:
					}
					if _, err := w.Write(piece); err != nil {
						return
					}
				}
			})
			return a, a.streaming()
		}, "more than 4 MiB"},
		"a slow stream without an end": {func(t *testing.T) (*wild, object) {
			a := newWild(t, func(w io.Writer, flush func(), gone <-chan struct{}) {
				for {
					if _, err := io.WriteString(w, delta("and ")); err != nil {
						return
					}
					flush()
					select {
					case <-gone:
						return
					case <-time.After(20 * time.Millisecond):
					}
				}
			})
			agent := a.streaming()
			agent["timeoutSeconds"] = 3
			return a, agent
		}, "no answer within 3 s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, settings := tt.agent(t)
			l := w.newLine(t, object{"agent": settings})
			m := l.say(t, "m1", "c1", "hello")
			began := time.Now()
			other := bystander.say(t, name, name, "and I?")
			w.finished(t, workflows.MessageWorkflowID(other))
			require.Less(t, time.Since(began), 10*time.Second, "others are answered meanwhile")
			l.fails(t, m, tt.reason)
			require.Less(t, a.written.Load(), int64(enough), "it is cut off, and not read to its end")
			for _, status := range w.replyParts(t, l.chat("c1")) {
				require.Contains(t, []string{"sent", "cancelled", "failed"}, status, "what was shown of it has an outcome")
			}
			next := bystander.say(t, name+" again", name, "and now?")
			w.finished(t, workflows.MessageWorkflowID(next))
		})
	}
}

// What an agent asks for beyond all bounds is refused, by its field; or left
// out, and said.
func TestAgentsThatAskForTooMuch(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	many := func(n int, one string) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	var fetched atomic.Int64
	redirects := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	}))
	t.Cleanup(redirects.Close)
	image := func(url string) string { return `{"parts":[{"type":"image","media":[{"url":"` + url + `"}]}]}` }
	for name, tt := range map[string]struct{ answer, reason string }{
		"parts":             {`{"parts":` + many(10_000, `"x"`) + `}`, "parts are more than 50"},
		"a button's label":  {`{"parts":[{"text":"?","buttons":[{"id":"a","text":"` + strings.Repeat("x", 1<<20) + `"}]}]}`, "parts[0].buttons[0].text has more than 256 characters"},
		"a button's id":     {`{"parts":[{"text":"?","buttons":[{"text":"a","id":"` + strings.Repeat("x", 1<<20) + `"}]}]}`, "parts[0].buttons[0].id has more than 1024 bytes"},
		"buttons":           {`{"parts":[{"text":"?","buttons":` + many(10_000, `{"id":"a","text":"a"}`) + `}]}`, "parts[0].buttons has more than 256 entries"},
		"attachments":       {`{"parts":[{"media":` + many(10_000, `{"url":"https://files.example.com/x"}`) + `}]}`, "parts[0].media has more than 32 attachments"},
		"the metadata":      {image("http://169.254.169.254/latest/meta-data/"), "parts[0].media[0].url"},
		"the metadata, hex": {image("http://0xa9fea9fe/latest/meta-data/"), "parts[0].media[0].url"},
		"a private address": {image("http://10.0.0.1:8881/api/v1/keys"), "parts[0].media[0].url"},
		"IPv6 loopback":     {image("http://[::1]/"), "parts[0].media[0].url"},
		"a file":            {image("file:///etc/passwd"), "parts[0].media[0].url must be an http or https URL"},
		"a file as handle":  {`{"parts":[{"type":"image","media":[{"ref":"file:///etc/passwd"}]}]}`, "parts[0].media[0].ref must be the platform's own handle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newWild(t, func(w io.Writer, _ func(), _ <-chan struct{}) { _, _ = io.WriteString(w, tt.answer) })
			l := w.newLine(t, object{"agent": a.webhook()})
			m := l.say(t, "m1", "c1", "hello")
			l.fails(t, m, tt.reason)
			require.Empty(t, l.saw("c1"))
			require.Less(t, len(w.deadLetters(t, m)[0].error), 2000)
		})
	}
	t.Run("actions", func(t *testing.T) {
		t.Parallel()
		a := newWild(t, func(w io.Writer, _ func(), _ <-chan struct{}) {
			_, _ = io.WriteString(w, `{"text":"hi","actions":`+many(10_000, `{"type":"`+strings.Repeat("dance", 50)+`"}`)+`}`)
		})
		l := w.newLine(t, object{"agent": a.webhook()})
		m := l.say(t, "m1", "c1", "hello")
		w.finished(t, workflows.MessageWorkflowID(m))
		require.Equal(t, []string{"hi"}, l.saw("c1"))
		said := wanted(t, w.eventData(t, m, "agent.response")[0]["actions"])
		require.Len(t, said, 21)
		require.Equal(t, [2]string{"unknown", "more actions than an answer may have"}, said[20])
	})
	t.Run("a redirect to the metadata", func(t *testing.T) {
		t.Parallel()
		a := newWild(t, func(w io.Writer, _ func(), _ <-chan struct{}) { _, _ = io.WriteString(w, image(redirects.URL)) })
		l := w.newLine(t, object{"agent": a.webhook()})
		m := l.say(t, "m1", "c1", "hello")
		w.finished(t, workflows.MessageWorkflowID(m))
		require.Equal(t, []string{"image: "}, l.saw("c1"))
		require.Zero(t, fetched.Load(), "the hub passes addresses on, and does not call them")
	})
}

// Bytes that are no text, and more pieces than anybody could read, arrive as
// one clean message, edited no oftener than the channel says.
func TestStreamsThatAreBroken(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	t.Run("bytes", func(t *testing.T) {
		t.Parallel()
		a := newWild(t, func(w io.Writer, flush func(), _ <-chan struct{}) {
			for _, piece := range []string{"one ", `\u0000two `, "\xff\xfe ", `\ud83d`, `\ude00 `, "\xe2\x82", "\xac ", "three"} {
				_, _ = io.WriteString(w, delta(piece))
				flush()
				time.Sleep(300 * time.Millisecond) // the model's own pace
			}
			_, _ = io.WriteString(w, endOfStream)
		})
		l := w.newLine(t, object{"agent": a.streaming()})
		m := l.say(t, "m1", "c1", "hello")
		w.finished(t, workflows.MessageWorkflowID(m))
		require.Equal(t, "answered", w.status(t, m))
		read := l.reads("c1")
		require.Len(t, read, 1)
		require.True(t, utf8.ValidString(read[0]))
		require.NotContains(t, read[0], "\x00")
		words := strings.Fields(read[0])
		require.Equal(t, []string{"one", "two", "three"}, []string{words[0], words[1], words[len(words)-1]})
		require.NotEmpty(t, editsOf(l, "c1"), "it was shown while it was said")
	})
	t.Run("a storm", func(t *testing.T) {
		t.Parallel()
		var text strings.Builder
		a := newWild(t, func(w io.Writer, flush func(), _ <-chan struct{}) {
			for i := range 4000 {
				word := fmt.Sprint(i, " ")
				text.WriteString(word)
				_, _ = io.WriteString(w, delta(word))
				flush()
				if i%8 == 0 {
					time.Sleep(5 * time.Millisecond) // the model's own pace
				}
			}
			_, _ = io.WriteString(w, endOfStream)
		})
		l := w.newLine(t, object{"agent": a.streaming()})
		began := time.Now()
		m := l.say(t, "m1", "c1", "hello")
		w.finished(t, workflows.MessageWorkflowID(m))
		seconds := int(time.Since(began)/time.Second) + 1
		require.Equal(t, strings.Fields(text.String()), strings.Fields(strings.Join(l.reads("c1"), " ")))
		require.LessOrEqual(t, len(editsOf(l, "c1")), seconds+1, "one edit a second, and the last")
	})
}

func editsOf(l *line, chat string) (texts []string) {
	for _, c := range l.out.Calls() {
		if c.Message.Chat.ID == chat && c.Message.Kind == message.KindEdit {
			texts = append(texts, c.Message.Content.Text)
		}
	}
	return texts
}

package agent_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// told is a bus that keeps the frames of answers.
type told chan omni.AgentStream

func (c told) PublishAgentStream(turn uuid.UUID, frame []byte) error {
	e, err := omni.ParseAgentStream(frame)
	if err != nil {
		return err
	}
	var f omni.AgentStream
	if err := json.Unmarshal(e.Data, &f); err != nil {
		return err
	}
	f.TenantID = e.TenantID
	if f.TurnID != turn {
		return fmt.Errorf("a frame of %s on the subject of %s", f.TurnID, turn)
	}
	c <- f
	return nil
}

// until collects the frames of one call up to its last one.
func (c told) until(t *testing.T) (frames []omni.AgentStream) {
	t.Helper()
	for {
		select {
		case f := <-c:
			frames = append(frames, f)
			if f.State != omni.StreamStreaming {
				return frames
			}
		case <-time.After(10 * time.Second):
			require.FailNow(t, "no last frame")
		}
	}
}

// streams is a model that says each piece once it is let.
func streams(next <-chan struct{}, pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, p := range pieces {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			b, _ := json.Marshal(map[string]any{"model": "m1", "choices": []any{map[string]any{"index": 0, "delta": map[string]any{"content": p}}}})
			_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
			w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
		}
		_, _ = io.WriteString(w, `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
	}
}

func open() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func newStreamingWorld(t *testing.T, llm http.HandlerFunc) (*world, told) {
	t.Helper()
	w := newWorld(t, llm)
	w.inst.Settings.Agent.Streaming = true
	frames := make(told, 10_000)
	w.Streams = frames
	return w, frames
}

// whole puts frames together, and checks that none is missing.
func whole(t *testing.T, frames []omni.AgentStream) string {
	t.Helper()
	var text strings.Builder
	for i, f := range frames {
		require.Equal(t, i+1, f.Seq)
		require.Equal(t, utf8.RuneCountInString(text.String()), f.Offset)
		require.Equal(t, frames[0].CallID, f.CallID)
		text.WriteString(f.Text)
	}
	return text.String()
}

func TestWhatAnAgentSaysIsToldOn(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	w, frames := newStreamingWorld(t, streams(next, "Olá ", "mun", "do 👋"))
	turn := w.say(dm, "Ana", "hello")
	done := make(chan error, 1)
	go func() {
		_, err := w.reply(turn)
		done <- err
	}()
	next <- struct{}{}
	first := <-frames
	require.Equal(t, "Olá ", first.Text, "told before the rest is said")
	next <- struct{}{}
	next <- struct{}{}
	require.NoError(t, <-done)
	all := append([]omni.AgentStream{first}, frames.until(t)...)
	require.Equal(t, "Olá mundo 👋", whole(t, all))
	last := all[len(all)-1]
	require.Equal(t, omni.StreamDone, last.State)
	require.Equal(t, 11, last.Offset, "the length of all of it")
	require.Equal(t, omni.DefaultTenant, last.TenantID)
	require.Equal(t, []uuid.UUID{turn.TurnID, turn.ChatID, turn.InstanceID, turn.Leader},
		[]uuid.UUID{last.TurnID, last.ChatID, last.InstanceID, last.MessageID})
	require.True(t, last.PersonID.Valid)
	require.Equal(t, []string{"Olá mundo 👋"}, w.deliver(turn))
}

func TestQuickPiecesShareAFrame(t *testing.T) {
	t.Parallel()
	pieces := strings.SplitAfter(strings.Repeat("word ", 2000), " ")
	w, frames := newStreamingWorld(t, streams(open(), pieces...))
	_, err := w.reply(w.say(dm, "Ana", "hello"))
	require.NoError(t, err)
	all := frames.until(t)
	require.Equal(t, strings.Repeat("word ", 2000), whole(t, all))
	require.Less(t, len(all), 500, "they are told every 50 ms, not each by itself")
}

func TestOneHugePieceIsToldInSeveralFrames(t *testing.T) {
	t.Parallel()
	huge := "x" + strings.Repeat("é\x00", 100_000)
	w, frames := newStreamingWorld(t, streams(open(), huge))
	_, err := w.reply(w.say(dm, "Ana", "hello"))
	require.NoError(t, err)
	all := frames.until(t)
	require.Equal(t, omni.CleanText(huge), whole(t, all))
	for _, f := range all {
		require.LessOrEqual(t, len(f.Text), 32<<10)
	}
}

func TestTheLastFrameSaysHowItEnded(t *testing.T) {
	t.Parallel()
	t.Run("failed, then repeated", func(t *testing.T) {
		t.Parallel()
		w, frames := newStreamingWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(rw, `data: {"choices":[{"index":0,"delta":{"content":"half of"}}]}`+"\n\n")
		})
		turn := w.say(dm, "Ana", "hello")
		_, err := w.reply(turn)
		requireApplicationError(t, err, activities.ErrTypeAgentTransient, false)
		first := frames.until(t)
		require.Equal(t, "half of", whole(t, first))
		require.Equal(t, omni.StreamFailed, first[len(first)-1].State)
		w.llm = streams(open(), "all of it")
		_, err = w.reply(turn)
		require.NoError(t, err)
		second := frames.until(t)
		require.Equal(t, "all of it", whole(t, second))
		require.NotEqual(t, first[0].CallID, second[0].CallID)
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		next := make(chan struct{}, 1)
		next <- struct{}{}
		w, frames := newStreamingWorld(t, streams(next, "one", "two"))
		turn := w.say(dm, "Ana", "hello")
		done := make(chan activities.ReplyOutput, 1)
		go func() {
			out, _ := w.reply(turn)
			done <- out
		}()
		require.Equal(t, "one", (<-frames).Text)
		_, err := w.st.TakeoverChat(t.Context(), turn.ChatID, omni.Takeover{Reason: "test"})
		require.NoError(t, err)
		w.cancels.cancel(turn.TurnID)
		require.Equal(t, activities.StateCancelled, (<-done).State)
		all := frames.until(t)
		require.Equal(t, omni.StreamCancelled, all[len(all)-1].State)
	})
	t.Run("nothing was said", func(t *testing.T) {
		t.Parallel()
		w, frames := newStreamingWorld(t, fails(500))
		_, err := w.reply(w.say(dm, "Ana", "hello"))
		require.Error(t, err)
		require.Empty(t, frames)
	})
	t.Run("not asked to stream", func(t *testing.T) {
		t.Parallel()
		w, frames := newStreamingWorld(t, says("hi"))
		w.inst.Settings.Agent.Streaming = false
		_, err := w.reply(w.say(dm, "Ana", "hello"))
		require.NoError(t, err)
		require.Empty(t, frames)
	})
}

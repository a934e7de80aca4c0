package agent

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

const (
	// speakEvery bounds how many frames a second an answer is told in.
	speakEvery = 50 * time.Millisecond
	// maxFrameText is the longest text of one frame, in bytes.
	maxFrameText = 32 << 10
)

// speech tells an answer on while it is being said, in frames. Nobody it tells
// can hold the agent up. A nil speech is one that nobody listens to.
type speech struct {
	publish func(frame omni.AgentStream)

	mu      sync.Mutex
	next    omni.AgentStream // without its text
	pending strings.Builder
	timer   *time.Timer // set while something is pending
	ended   bool
}

// newSpeech begins one call's. first names what all frames have in common.
func newSpeech(first omni.AgentStream, publish func(omni.AgentStream)) *speech {
	first.CallID, first.Seq, first.State = uuid.New(), 1, omni.StreamStreaming
	return &speech{publish: publish, next: first}
}

// hear takes the next piece of the answer.
func (s *speech) hear(text string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.pending.WriteString(omni.CleanText(text))
	switch {
	case s.pending.Len() >= maxFrameText:
		s.flush()
	case s.timer == nil && s.pending.Len() > 0:
		s.timer = time.AfterFunc(speakEvery, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.ended {
				s.flush()
			}
		})
	}
}

// end tells what is left and how it ended, where anything was said at all.
func (s *speech) end(state omni.StreamState) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.flush()
	s.ended = true
	if s.next.Seq > 1 {
		s.next.State = state
		s.say("")
	}
}

// flush tells what is pending. The lock is held.
func (s *speech) flush() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	text := s.pending.String()
	s.pending.Reset()
	for text != "" {
		piece := text[:cut(text)]
		s.say(piece)
		text = text[len(piece):]
	}
}

// cut is where the first frame of a text ends, not within a character.
func cut(text string) int {
	if len(text) <= maxFrameText {
		return len(text)
	}
	at := maxFrameText
	for !utf8.RuneStart(text[at]) {
		at--
	}
	return at
}

func (s *speech) say(text string) {
	frame := s.next
	frame.Text = text
	s.publish(frame)
	s.next.Seq++
	s.next.Offset += utf8.RuneCountInString(text)
}

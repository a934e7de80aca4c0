package channeltest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// ErrSink is what a Sink told to fail returns.
var ErrSink = errors.New("the sink was told to fail")

// Stored is one event that a Sink keeps.
type Stored struct {
	Event message.Inbound
	Raw   []byte
	Ack   channels.Ack
}

// Sink is a channels.Sink in memory. Like the real one it keeps each event
// once, by kind, id and revision. It can be told to fail or to hold.
type Sink struct {
	mu       sync.Mutex
	changed  chan struct{}
	stored   []Stored
	byKey    map[string]channels.Ack
	states   []channels.State
	failures int
	gate     chan struct{} // not nil: publishes wait for it
	held     int
	attempts int
}

var _ channels.Sink = (*Sink)(nil)

// NewSink makes an empty Sink.
func NewSink() *Sink {
	return &Sink{changed: make(chan struct{}), byKey: map[string]channels.Ack{}}
}

// Key is the external key of an event: equal keys are the same event.
func Key(in message.Inbound) string { return fmt.Sprintf("%s/%s/%d", in.Kind, in.ID, in.Revision) }

// Publish keeps the event, unless it was told otherwise.
func (s *Sink) Publish(ctx context.Context, in message.Inbound, raw []byte) (channels.Ack, error) {
	if err := s.enter(ctx); err != nil {
		return channels.Ack{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.signal()
	if ack, ok := s.byKey[Key(in)]; ok {
		ack.Duplicate = true
		return ack, nil
	}
	sum := sha256.Sum256([]byte(Key(in)))
	ack := channels.Ack{MessageID: fmt.Sprintf("%x-%x-8%x-8%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])[:36]}
	s.byKey[Key(in)] = ack
	s.stored = append(s.stored, Stored{Event: in, Raw: append([]byte(nil), raw...), Ack: ack})
	return ack, nil
}

func (s *Sink) enter(ctx context.Context) error {
	s.mu.Lock()
	s.attempts++
	if s.failures > 0 {
		s.failures--
		s.signal()
		s.mu.Unlock()
		return ErrSink
	}
	gate := s.gate
	if gate != nil {
		s.held++
	}
	s.signal()
	s.mu.Unlock()
	if gate == nil {
		return nil
	}
	defer func() {
		s.mu.Lock()
		s.held--
		s.mu.Unlock()
	}()
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signal wakes who waits. The lock is held.
func (s *Sink) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// State keeps the report.
func (s *Sink) State(st channels.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = append(s.states, st)
	s.signal()
}

// FailNext lets the next n publishes fail.
func (s *Sink) FailNext(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = n
}

// Hold lets publishes wait until release is called.
func (s *Sink) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	var once sync.Once
	return func() {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.gate == gate {
				s.gate = nil
			}
			close(gate)
		})
	}
}

// Stored returns what is kept, in order.
func (s *Sink) Stored() []Stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Stored(nil), s.stored...)
}

// Texts returns the texts of the kept messages, in order.
func (s *Sink) Texts() []string {
	var texts []string
	for _, st := range s.Stored() {
		if st.Event.Kind == message.KindMessage {
			texts = append(texts, st.Event.Content.Text)
		}
	}
	return texts
}

// Attempts returns how often Publish was called.
func (s *Sink) Attempts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts
}

// Held returns how many publishes are waiting.
func (s *Sink) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// States returns every report, in order.
func (s *Sink) States() []channels.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]channels.State(nil), s.states...)
}

// LastStatus is the newest reported status, "" before the first.
func (s *Sink) LastStatus() channels.Status {
	states := s.States()
	if len(states) == 0 {
		return ""
	}
	return states[len(states)-1].Status
}

// Wait blocks until ok is true; it is asked at once and after every change.
func (s *Sink) Wait(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if ok() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the sink (%d attempts, %d stored, states %v): %w",
				s.Attempts(), len(s.Stored()), s.States(), ctx.Err())
		}
	}
}

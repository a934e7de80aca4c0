package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// line is who waits to be carried out in each chat.
type line struct {
	mu      sync.Mutex
	waiting map[string]*request           // by operation and key: not begun
	sends   map[string]int                // by chat: bubbles on their way
	typing  map[string]context.CancelFunc // by chat: the indicator being shown
}

func newLine() line {
	return line{waiting: map[string]*request{}, sends: map[string]int{}, typing: map[string]context.CancelFunc{}}
}

// join makes a request known. A bubble ends the indicator that is being shown
// in its chat: the platform takes it away itself, and it must not be shown
// after the last part, nor hold one up.
func (l *line) join(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.known != "" {
		l.waiting[r.known] = r
	}
	if r.op != channels.OpSend {
		return
	}
	l.sends[r.out.Chat.ID]++
	if end := l.typing[r.out.Chat.ID]; end != nil {
		end()
	}
}

// begin says that a request is being carried out from now on, or with what it
// is answered instead.
func (l *line) begin(r *request, end context.CancelFunc) *channels.Reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, r.known)
	if r.hasLeft() {
		reply := refused(channels.ErrTransient, errLeft)
		return &reply
	}
	if r.op != channels.OpTyping {
		return nil
	}
	if l.sends[r.out.Chat.ID] > 0 { // nobody is to see the indicator any more
		return &channels.Reply{Receipt: &message.Receipt{At: time.Now().UTC()}}
	}
	l.typing[r.out.Chat.ID] = end
	return nil
}

// leave forgets a request that has its answer.
func (l *line) leave(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, r.known)
	switch r.op {
	case channels.OpTyping:
		delete(l.typing, r.out.Chat.ID)
	case channels.OpSend:
		if l.sends[r.out.Chat.ID]--; l.sends[r.out.Chat.ID] <= 0 {
			delete(l.sends, r.out.Chat.ID)
		}
	}
}

// dismiss ends the waiting of a request that was not begun.
func (l *line) dismiss(known string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.waiting[known]; r != nil {
		delete(l.waiting, known)
		close(r.left)
	}
}

func (r *request) hasLeft() bool {
	select {
	case <-r.left:
		return true
	default:
		return false
	}
}

// withdraw is for a bubble that nobody wants sent any more.
func (s *service) withdraw(key string) {
	if key == "" {
		return
	}
	known := string(channels.OpSend) + "/" + key
	s.line.dismiss(known)
	s.session.host.gate.withdraw(known)
}

const (
	errLeft = "whoever asked for it has left"
	errLate = "the deadline would pass before its turn comes"
)

// admit waits at the gate; an error says why the request must not go on.
func (s *service) admit(r *request) *channels.SendError {
	g := s.session.host.gate
	if r.op != channels.OpSend && r.op != channels.OpEdit {
		return g.limited(r.out.Chat.ID)
	}
	wait, p, err := g.enter(r.known, r.out.Chat)
	if err != nil {
		return err
	}
	if wait > 0 {
		if err = s.stand(r, wait); err == nil {
			err = g.limited(r.out.Chat.ID) // told meanwhile
		}
	}
	if err != nil {
		g.leave(p)
	}
	return err
}

// stand waits, unless somebody ends it.
func (s *service) stand(r *request, wait time.Duration) *channels.SendError {
	if time.Now().Add(wait).After(r.deadline) {
		return &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, RetryAfter: wait, Reason: errLate}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.left:
		return notBegun(channels.ErrTransient, errLeft)
	case <-s.quit:
		return notBegun(channels.ErrNotConnected, notServed)
	}
}

func notBegun(kind channels.ErrorKind, reason string) *channels.SendError {
	return &channels.SendError{Kind: kind, Certain: true, Reason: reason}
}

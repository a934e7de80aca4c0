package customtest

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/omnihub/omni/channels/message"
)

// Call is one callback as it arrived.
type Call struct {
	At         time.Time
	Message    message.Outbound
	Body       []byte
	Header     http.Header
	Verified   bool   // the signature and its time were right
	Accepted   bool   // kept as a bubble (or recognised as one it has)
	ExternalID string // answered to an accepted call
}

// Fault is how the Receiver treats one call.
type Fault struct {
	Status     int           // answer this instead of taking the message
	RetryAfter string        // the header, verbatim
	Drop       bool          // close the connection instead of answering
	Accept     bool          // take the message before misbehaving
	Delay      time.Duration // wait before doing anything (or until the caller leaves)
	Body       string        // of a Status answer
}

// Receiver is a program behind a callbackUrl. It keeps each idempotency key
// once, as the contract asks of programs.
type Receiver struct {
	secret string
	server *http.Server
	url    string
	done   chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every call
	calls   []Call
	bubbles []Call
	byKey   map[string]string // key → external id
	faults  []Fault
	treat   func(message.Outbound) Fault
}

// NewReceiver starts a Receiver on a free port of 127.0.0.1.
func NewReceiver(secret string) (*Receiver, error) {
	return NewReceiverAt("127.0.0.1:0", secret)
}

// NewReceiverAt starts a Receiver on an address, for tests that restart it.
func NewReceiverAt(addr, secret string) (*Receiver, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	r := &Receiver{secret: secret, url: "http://" + l.Addr().String() + "/callback", done: make(chan struct{}),
		changed: make(chan struct{}), byKey: map[string]string{}}
	r.server = &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(r.done)
		_ = r.server.Serve(l)
	}()
	return r, nil
}

// URL is the callbackUrl.
func (r *Receiver) URL() string { return r.url }

// Close stops the Receiver and waits for it.
func (r *Receiver) Close() {
	_ = r.server.Close()
	<-r.done
}

// Fault queues how the next calls are treated, one each.
func (r *Receiver) Fault(f ...Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, f...)
}

// Treat decides how calls are treated, where no Fault is queued.
func (r *Receiver) Treat(how func(m message.Outbound) Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.treat = how
}

// Calls returns every call, refused ones too, in order of arrival.
func (r *Receiver) Calls() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Call(nil), r.calls...)
}

// Bubbles returns the messages taken, each key once, in order.
func (r *Receiver) Bubbles() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Call(nil), r.bubbles...)
}

// Texts returns the texts of the bubbles of one chat ("" for all), in order.
func (r *Receiver) Texts(chat string) []string {
	var texts []string
	for _, c := range r.Bubbles() {
		if c.Message.Kind == message.KindMessage && (chat == "" || c.Message.Chat.ID == chat) {
			texts = append(texts, c.Message.Content.Text)
		}
	}
	return texts
}

// Wait blocks until ok is true. It is asked at once and after every call.
func (r *Receiver) Wait(ctx context.Context, ok func(r *Receiver) bool) error {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if ok(r) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for callbacks (%d calls, %d bubbles so far): %w", len(r.Calls()), len(r.Bubbles()), ctx.Err())
		}
	}
}

// WaitTexts blocks until a chat ("" for all) has n texts and returns them.
func (r *Receiver) WaitTexts(ctx context.Context, chat string, n int) ([]string, error) {
	err := r.Wait(ctx, func(r *Receiver) bool { return len(r.Texts(chat)) >= n })
	return r.Texts(chat), err
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	c := Call{At: time.Now(), Body: body, Header: req.Header.Clone(), Verified: r.verify(req.Header, body)}
	malformed := json.Unmarshal(body, &c.Message) != nil
	missing := c.Verified && !malformed && !r.has(c.Message)
	f := r.nextFault(c.Message)
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-req.Context().Done():
		}
	}
	faulty := f.Status != 0 || f.Drop
	if c.Verified && !malformed && !missing && (!faulty || f.Accept) {
		r.accept(&c)
	}
	r.record(c)
	switch {
	case f.Drop:
		// The only way to break a connection off from inside a handler.
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	case !c.Verified:
		w.WriteHeader(http.StatusUnauthorized)
	case malformed:
		w.WriteHeader(http.StatusBadRequest)
	case missing:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "there is no such message")
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"id": c.ExternalID})
	}
}

func (r *Receiver) nextFault(m message.Outbound) Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.faults) == 0 && r.treat != nil {
		return r.treat(m)
	}
	if len(r.faults) == 0 {
		return Fault{}
	}
	f := r.faults[0]
	r.faults = r.faults[1:]
	return f
}

// has reports whether the message that a call edits or deletes is there. Of
// people's own, which are reacted to, it knows nothing.
func (r *Receiver) has(m message.Outbound) bool {
	if m.Kind != message.KindEdit && m.Kind != message.KindDelete {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	there := false
	for _, b := range r.bubbles {
		switch {
		case b.Message.Kind == message.KindMessage && b.ExternalID == m.TargetID:
			there = true
		case b.Message.Kind == message.KindDelete && b.Message.TargetID == m.TargetID && m.Kind == message.KindEdit:
			there = false
		}
	}
	return there
}

// accept keeps a call as a bubble, once for each key.
func (r *Receiver) accept(c *Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Accepted = true
	if id, ok := r.byKey[c.Message.Key]; ok {
		c.ExternalID = id
		return
	}
	c.ExternalID = "out-" + strconv.Itoa(len(r.byKey)+1)
	r.byKey[c.Message.Key] = c.ExternalID
	r.bubbles = append(r.bubbles, *c)
}

func (r *Receiver) record(c Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Receiver) verify(h http.Header, body []byte) bool {
	secs, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		return false
	}
	at := time.Unix(secs, 0)
	if d := time.Since(at); d > 5*time.Minute || d < -5*time.Minute {
		return false
	}
	want := Sign(r.secret, h.Get("webhook-id"), at, body)
	return subtle.ConstantTimeCompare([]byte(want), []byte(h.Get("webhook-signature"))) == 1
}

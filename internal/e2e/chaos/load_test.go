package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/omnihub/omni/channels/custom/customtest"
)

// said is a message that the hub has acknowledged.
type said struct {
	line      *line
	chat      string
	id        string // the platform's
	text      string
	message   string // the hub's
	at        time.Time
	untrigger bool // in a group, to nobody
}

// load is what people write, and what the hub has taken of it.
type load struct {
	lines []*line
	rng   func(chat int) *rand.Rand
	began int // chats

	mu         sync.Mutex
	chats      map[string][]*said // in the order they were taken
	tries      int
	duplicates int
}

func newLoad(lines []*line, seed uint64) *load {
	return &load{lines: lines, chats: map[string][]*said{},
		rng: func(chat int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(chat)+1)) }}
}

// run lets people write in a number of new chats until ctx is over.
func (l *load) run(ctx context.Context, chats int, between time.Duration) {
	var wg sync.WaitGroup
	for range chats {
		c := l.began
		l.began++
		wg.Go(func() { l.talk(ctx, c, between) })
	}
	wg.Wait()
}

// talk is one chat. Sometimes a message overtakes the one before it, and
// sometimes the platform brings one again: at once, or much later.
func (l *load) talk(ctx context.Context, chat int, between time.Duration) {
	rng, line := l.rng(chat), l.lines[chat%len(l.lines)]
	name := fmt.Sprintf("%s-%d", line.name, chat)
	// All do not begin at once.
	pause(ctx, time.Duration(rng.Int64N(int64(between))))
	for i := 0; ctx.Err() == nil; {
		next := []*said{l.words(rng, line, name, i)}
		i++
		if rng.IntN(6) == 0 {
			next = []*said{l.words(rng, line, name, i), next[0]}
			i++
		}
		for _, s := range next {
			l.bring(ctx, s)
		}
		if rng.IntN(4) == 0 {
			l.again(ctx, rng, name)
		}
		if rng.IntN(3) > 0 { // otherwise the next follows on its heels
			pause(ctx, between/2+time.Duration(rng.Int64N(int64(between))))
		}
	}
}

// taken is how many messages the hub has acknowledged.
func (l *load) taken() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, chat := range l.chats {
		n += len(chat)
	}
	return n
}

func (l *load) words(rng *rand.Rand, line *line, chat string, i int) *said {
	s := &said{line: line, chat: chat, id: fmt.Sprintf("%s-%d", chat, i)}
	s.text = "[" + s.id + "]"
	if line.name != "denied" && rng.IntN(12) == 0 {
		s.chat, s.untrigger = chat+"-group", true
	}
	return s
}

// bring sends a message until the hub takes it, as platforms do; one that it
// did not acknowledge before the end is no message.
func (l *load) bring(ctx context.Context, s *said) {
	for ctx.Err() == nil {
		a, err := s.line.Send(context.WithoutCancel(ctx), s.id, s.event())
		l.mu.Lock()
		l.tries++
		if err == nil && a.Status == http.StatusAccepted {
			s.message, s.at = a.MessageID, time.Now()
			l.chats[s.chat] = append(l.chats[s.chat], s)
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		pause(ctx, 100*time.Millisecond)
	}
}

// again brings what has been taken once more, twice at the same time.
func (l *load) again(ctx context.Context, rng *rand.Rand, chat string) {
	l.mu.Lock()
	have := l.chats[chat]
	var s *said
	if len(have) > 0 {
		s = have[rng.IntN(len(have))]
	}
	l.mu.Unlock()
	if s == nil {
		return
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := s.line.Send(context.WithoutCancel(ctx), s.id, s.event()); err == nil {
				l.mu.Lock()
				l.duplicates++
				l.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func (s *said) event() map[string]any {
	e := customtest.Text(s.id, s.chat, "u-"+s.chat, s.text)
	if s.untrigger {
		e["chat"] = object{"id": s.chat, "type": "group"}
	}
	return e
}

package gateway

import "sync"

const (
	maxAtOnce  = 64   // operations of one instance under way
	maxWaiting = 4096 // operations of one instance, waiting ones included
)

// chatQueues runs the operations of one instance: those of a chat one after
// the other, in the order they came; chats beside each other.
type chatQueues struct {
	atOnce chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex
	waiting map[string][]job // present: a goroutine works on the chat
	total   int
}

// job is one operation. ready waits until it may go; while it waits only its
// chat does. False: it does not go at all.
type job struct {
	ready func() bool
	run   func()
}

func newChatQueues() *chatQueues {
	return &chatQueues{atOnce: make(chan struct{}, maxAtOnce), waiting: map[string][]job{}}
}

// submit queues j behind what the chat has; false: there is too much already.
func (q *chatQueues) submit(chat string, j job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total >= maxWaiting {
		return false
	}
	q.total++
	queue, busy := q.waiting[chat]
	q.waiting[chat] = append(queue, j)
	if !busy {
		q.wg.Go(func() { q.work(chat) })
	}
	return true
}

func (q *chatQueues) work(chat string) {
	for {
		q.mu.Lock()
		queue := q.waiting[chat]
		if len(queue) == 0 {
			delete(q.waiting, chat)
			q.mu.Unlock()
			return
		}
		j := queue[0]
		q.waiting[chat] = queue[1:]
		q.mu.Unlock()

		if j.ready() {
			q.atOnce <- struct{}{}
			j.run()
			<-q.atOnce
		}

		q.mu.Lock()
		q.total--
		q.mu.Unlock()
	}
}

// wait returns when nothing is left to do.
func (q *chatQueues) wait() { q.wg.Wait() }

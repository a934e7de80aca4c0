package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// telegramLike are the rates that Telegram names.
var telegramLike = channels.Capabilities{SendPerSecond: 30, ChatPerSecond: 1, GroupPerMinute: 20}

// clock is time that passes when a test says so.
type clock struct{ at time.Time }

func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }
func dm(i int) message.Chat           { return message.Chat{ID: fmt.Sprint("dm", i), Type: message.ChatDM} }
func (c *clock) gate(caps channels.Capabilities) *gate {
	g := newGate(caps)
	g.now = c.now
	return g
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func TestAChannelWithoutLimitsDoesNotWait(t *testing.T) {
	t.Parallel()
	g := newClock().gate(channels.Capabilities{})
	for i := range 1000 {
		wait, _, err := g.enter(fmt.Sprint(i), dm(1))
		require.Nil(t, err)
		require.Zero(t, wait)
	}
}

func TestOneBubbleASecondInAChat(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := c.gate(telegramLike)
	for i, want := range []time.Duration{0, time.Second, 2 * time.Second} {
		wait, _, err := g.enter(fmt.Sprint("a", i), dm(1))
		require.Nil(t, err)
		require.Equal(t, want, wait)
	}
	wait, _, err := g.enter("b", dm(2))
	require.Nil(t, err)
	require.Zero(t, wait, "another chat does not wait")

	// The fourth would have to stand for longer than anybody may.
	_, _, err = g.enter("a3", dm(1))
	require.Equal(t, channels.ErrRateLimited, err.Kind)
	require.True(t, err.Certain)
	require.Equal(t, channels.ScopeChat, err.Scope)
	require.Equal(t, 3*time.Second, err.RetryAfter)
	// It comes back early, and is told the same; at its time it goes.
	c.pass(500 * time.Millisecond)
	_, _, err = g.enter("a3", dm(1))
	require.Equal(t, 2500*time.Millisecond, err.RetryAfter)
	c.pass(2500 * time.Millisecond)
	wait, _, err = g.enter("a3", dm(1))
	require.Nil(t, err)
	require.Zero(t, wait)
}

// In any minute a group sees no more than its share, and the account no more
// than its own in any second.
func TestRatesHoldInEveryWindow(t *testing.T) {
	t.Parallel()
	count := func(g *gate, c *clock, window time.Duration, chat func(i int) message.Chat) int {
		var sent []time.Time
		for i := 0; len(sent) < 200; i++ {
			wait, _, err := g.enter("", chat(i))
			if err != nil {
				c.pass(100 * time.Millisecond)
				continue
			}
			c.pass(wait)
			sent = append(sent, c.at)
		}
		most := 0
		for i, from := range sent {
			n := 0
			for _, at := range sent[i:] {
				if at.Sub(from) < window {
					n++
				}
			}
			most = max(most, n)
		}
		return most
	}
	c := newClock()
	group := message.Chat{ID: "g", Type: message.ChatGroup}
	require.LessOrEqual(t, count(c.gate(telegramLike), c, time.Minute, func(int) message.Chat { return group }), 20)
	c = newClock()
	// A token bucket lets a full one and a second's worth through within its first second.
	require.LessOrEqual(t, count(c.gate(telegramLike), c, time.Second, dm), 2*30)
}

// Many at once get one turn each, one after the other: nobody has to come
// back twice, nobody overtakes.
func TestTurnsAreToldOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := c.gate(telegramLike)
	turns := map[int]time.Duration{}
	for i := range 300 {
		wait, _, err := g.enter(fmt.Sprint(i), dm(i))
		if err != nil {
			require.Equal(t, channels.ScopeAccount, err.Scope)
			wait = err.RetryAfter
			turns[i] = wait
		}
		require.InDelta(t, max(0, float64(i-29)/30), wait.Seconds(), 0.001, i)
	}
	require.Len(t, turns, 300-30-60)
	for i := 90; i < 300; i++ {
		c.at = newClock().at.Add(turns[i])
		wait, _, err := g.enter(fmt.Sprint(i), dm(i))
		require.Nil(t, err, i)
		require.Zero(t, wait)
	}
	require.Empty(t, g.booked)
}

func TestATurnThatIsGivenUpIsSomebodyElses(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := c.gate(telegramLike)
	_, _, err := g.enter("a", dm(1))
	require.Nil(t, err)
	_, p, err := g.enter("b", dm(1))
	require.Nil(t, err)
	g.leave(p)
	wait, _, err := g.enter("c", dm(1))
	require.Nil(t, err)
	require.Equal(t, time.Second, wait)
	_, _, err = g.enter("d", dm(1))
	require.Nil(t, err)
	_, _, err = g.enter("e", dm(1))
	require.NotNil(t, err)
	g.withdraw("e")
	_, _, err = g.enter("f", dm(1))
	require.Equal(t, 3*time.Second, err.RetryAfter)
}

func TestA429HoldsUpWhatItIsAbout(t *testing.T) {
	t.Parallel()
	limit := func(scope channels.Scope, after time.Duration) *channels.SendError {
		return &channels.SendError{Kind: channels.ErrRateLimited, Certain: true, Scope: scope, RetryAfter: after}
	}
	waits := func(g *gate, chat message.Chat) time.Duration {
		_, _, err := g.enter("", chat)
		if err == nil {
			return 0
		}
		require.Equal(t, channels.ErrRateLimited, err.Kind)
		require.True(t, err.Certain)
		return err.RetryAfter
	}
	for name, tt := range map[string]struct {
		told  map[int]*channels.SendError
		waits []time.Duration // of chats 1 to 3
	}{
		"a chat":    {map[int]*channels.SendError{1: limit(channels.ScopeChat, 9*time.Second)}, []time.Duration{9 * time.Second, 0, 0}},
		"two chats": {map[int]*channels.SendError{1: limit(channels.ScopeChat, 9*time.Second), 2: limit(channels.ScopeChat, 9*time.Second)}, []time.Duration{9 * time.Second, 9 * time.Second, 0}},
		"the account": {map[int]*channels.SendError{1: limit(channels.ScopeAccount, 9*time.Second)},
			[]time.Duration{9 * time.Second, 9 * time.Second, 9 * time.Second}},
		"nobody says: the chat": {map[int]*channels.SendError{1: limit(channels.ScopeUnknown, 9*time.Second)}, []time.Duration{9 * time.Second, 0, 0}},
		"nobody says, twice: the account": {map[int]*channels.SendError{1: limit(channels.ScopeUnknown, 9*time.Second), 2: limit(channels.ScopeUnknown, 9*time.Second)},
			[]time.Duration{9 * time.Second, 9 * time.Second, 9 * time.Second}},
		"no time: a moment": {map[int]*channels.SendError{1: limit(channels.ScopeChat, 0)}, []time.Duration{time.Second, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			g := c.gate(channels.Capabilities{})
			for chat, err := range tt.told {
				g.told(dm(chat), err)
			}
			for i, want := range tt.waits {
				require.Equal(t, want, waits(g, dm(i+1)), "chat %d", i+1)
			}
			c.pass(9 * time.Second)
			for i := range tt.waits {
				require.Zero(t, waits(g, dm(i+1)), "it is over")
			}
		})
	}
}

func TestTheGateForgets(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := c.gate(telegramLike)
	for i := range 500 {
		_, _, _ = g.enter(fmt.Sprint(i), dm(i))
	}
	require.NotEmpty(t, g.booked)
	g.told(dm(7), &channels.SendError{Kind: channels.ErrRateLimited, RetryAfter: time.Hour, Scope: channels.ScopeChat})
	c.pass(3 * time.Minute)
	_, _, err := g.enter("x", dm(7))
	require.NotNil(t, err, "what the platform said is not forgotten before its time")
	require.Len(t, g.chats, 1)
	require.Empty(t, g.booked)
}

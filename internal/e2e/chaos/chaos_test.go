package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
)

// settledWithin is how long after the last trouble everything is at its end:
// turns whose workflow is lost are taken up when they are overdue.
const settledWithin = 2 * time.Minute

// Whatever goes wrong, and however often: every message that was acknowledged
// ends in exactly one of the ways it may end, each part of a reply is seen
// once, chats keep their order, nothing is left open, the log tells the same
// story, also to whom it is told live, and a hub that stops or comes to rest
// leaves nothing running (see runHub for the former).
func TestChaos(t *testing.T) {
	began := time.Now()
	chats, between, trouble := 70, 4*time.Second, shortForm
	if *minutes > 0 {
		chats, between, trouble = 300, 15*time.Second, time.Duration(*minutes*float64(time.Minute))
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	g := newGround(t)
	a := newAgent(t)
	hub := newProcess(t, g.dir, "hub", g.ready, g.env...)
	hub.start()
	lines := g.newLines(a)
	l, w := newLoad(lines, *seed), g.newWitness()
	fresh := g.goroutines()
	tr := newTrouble(t, g, hub, a, lines, *seed)

	writing, stop := context.WithCancel(t.Context())
	defer stop()
	written := make(chan struct{})
	go func() {
		defer close(written)
		l.run(writing, chats, between)
	}()
	troubled, cancel := context.WithTimeout(t.Context(), trouble)
	defer cancel()
	tr.run(troubled)
	calm := time.Now()
	stop()
	<-written
	g.quiet(settledWithin)
	quiet := time.Since(calm)
	before := g.atRest(fresh + spareGoroutines)
	taken := g.calmLoad(l, chats)
	after := g.atRest(before + spareGoroutines)
	v := judge(look(t, g, l, w))
	report(t, began, v, l, tr, map[string]any{"quiet after the last trouble": quiet.Round(time.Millisecond),
		"events told to one who follows": fmt.Sprintf("%d, in %d connections", len(v.told), w.times),
		"goroutines of the hub":          fmt.Sprintf("%d fresh, %d at rest, %d after %d more messages", fresh, before, after, taken)})
	for _, s := range v.stories {
		t.Logf("%s (%s):\n%s", s.id, s.message, g.story(s))
	}
	const shown = 40
	require.Empty(t, v.problems[:min(shown, len(v.problems))], "%d problems; seed %d", len(v.problems), *seed)
	require.NotEmpty(t, v.all())
	require.LessOrEqual(t, before, fresh+spareGoroutines, "goroutines after the troubles")
	require.LessOrEqual(t, after, before+spareGoroutines, "goroutines after more messages")
}

// report prints the figures.
func report(t *testing.T, began time.Time, v *verdict, l *load, tr *trouble, more map[string]any) {
	t.Helper()
	calls, bubbles := 0, 0
	for _, s := range v.shown {
		calls += len(s.calls)
		bubbles += len(s.bubbles)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, figure any) { _, _ = fmt.Fprintf(w, "%s\t%v\n", name, figure) }
	row("seed", *seed)
	row("messages acknowledged", len(v.all()))
	row("tries to bring them", l.tries)
	row("brought again", l.duplicates)
	for _, e := range slices.Sorted(maps.Keys(v.endings)) {
		row("ended as "+string(e), v.endings[e])
	}
	row("parts seen", bubbles)
	row("of them, cut off by an interruption", v.cutOff)
	row("calls of platforms", calls)
	row("calls of the agent", tr.agent.calls.Load())
	row("of them ill answered", tr.agent.bad.Load())
	for _, name := range slices.Sorted(maps.Keys(tr.times)) {
		row(name, tr.times[name])
	}
	if v.slowest != nil {
		row("longest time to reply", fmt.Sprintf("%s (%s)", v.longest.Round(time.Millisecond), v.slowest.id))
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		row(name, more[name])
	}
	row("took", time.Since(began).Round(time.Second))
	require.NoError(t, w.Flush())
	t.Logf("the figures:\n%s", b.String())
	if v.slowest != nil {
		t.Logf("how the longest went:\n%s", tr.ground.story(v.slowest))
	}
}

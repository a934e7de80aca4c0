package chaos

import (
	"context"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/custom/customtest"
)

// trouble makes things go wrong, in an order that the seed decides.
type trouble struct {
	t      *testing.T
	ground *ground
	hub    *process
	agent  *agent
	lines  []*line
	rng    *rand.Rand
	times  map[string]int // how often each happened
}

func newTrouble(t *testing.T, g *ground, hub *process, a *agent, lines []*line, seed uint64) *trouble {
	t.Helper()
	return &trouble{t: t, ground: g, hub: hub, agent: a, lines: lines, rng: rand.New(rand.NewPCG(seed, 0)), times: map[string]int{}}
}

// run goes round all troubles, in a new order each time, until ctx is over;
// at least once. Then nothing is wrong any more.
func (tr *trouble) run(ctx context.Context) {
	all := []struct {
		name string
		make func(ctx context.Context)
	}{
		{"hub killed", tr.killHub}, {"Postgres killed", tr.killPostgres}, {"NATS killed", tr.killNATS}, {"Temporal killed", tr.killTemporal},
		{"agent slow", tr.mood(slow)}, {"agent wrong", tr.mood(wrong)}, {"agent dead", tr.mood(dead)}, {"hub stopped", tr.stopHub},
	}
	for first := true; first || ctx.Err() == nil; first = false {
		tr.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, it := range all {
			if !first && ctx.Err() != nil {
				break
			}
			tr.refuse()
			it.make(ctx)
			tr.times[it.name]++
			tr.t.Logf("%s", it.name)
			pause(ctx, time.Duration(200+tr.rng.IntN(1500))*time.Millisecond)
		}
	}
	tr.agent.set(well)
	tr.hub.awaitReady()
}

func (tr *trouble) killHub(context.Context) {
	tr.hub.kill()
	tr.hub.start()
}

func (tr *trouble) stopHub(context.Context) {
	tr.hub.stop()
	tr.hub.start()
}

// killPostgres leaves the rest running: they must come back by themselves.
func (tr *trouble) killPostgres(context.Context) {
	require.NoError(tr.t, syscall.Kill(tr.ground.postgres.PID(), syscall.SIGKILL))
	tr.hub.awaitReady()
}

func (tr *trouble) killNATS(ctx context.Context) {
	tr.ground.nats.kill()
	pause(ctx, time.Duration(tr.rng.IntN(2000))*time.Millisecond)
	tr.ground.nats.start()
	tr.hub.awaitReady()
}

func (tr *trouble) killTemporal(ctx context.Context) {
	tr.ground.temporal.kill()
	pause(ctx, time.Duration(tr.rng.IntN(2000))*time.Millisecond)
	tr.ground.temporal.start()
	tr.hub.awaitReady()
}

func (tr *trouble) mood(m mood) func(ctx context.Context) {
	return func(ctx context.Context) {
		tr.agent.set(m)
		pause(ctx, time.Duration(1000+tr.rng.IntN(2000))*time.Millisecond)
		tr.agent.set(well)
	}
}

// refuse lets every platform treat its next calls badly.
func (tr *trouble) refuse() {
	for _, l := range tr.lines {
		for range 1 + tr.rng.IntN(4) {
			f := tr.fault(l)
			l.out.Fault(f)
			tr.times["delivery "+nameOf(f)]++
		}
	}
}

func (tr *trouble) fault(l *line) customtest.Fault {
	faults := []customtest.Fault{
		{Status: http.StatusTooManyRequests, RetryAfter: "1"},
		{Status: http.StatusInternalServerError},
		{Status: http.StatusBadGateway, Accept: true}, // taken, and still refused
		{Drop: true},
		{Drop: true, Accept: true},
		{Delay: time.Duration(tr.rng.IntN(1500)) * time.Millisecond},
	}
	if l.refuses {
		faults = append(faults, customtest.Fault{Status: http.StatusUnprocessableEntity})
	}
	return faults[tr.rng.IntN(len(faults))]
}

func nameOf(f customtest.Fault) string {
	switch {
	case f.Status != 0:
		return http.StatusText(f.Status)
	case f.Drop:
		return "cut off"
	default:
		return "slow"
	}
}

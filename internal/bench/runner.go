package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/workflows"
)

// runner measures the workloads on one hub.
type runner struct {
	o          options
	hub        *hub
	db         *database
	floor      *floor
	agent      *slowAgent
	temporal   client.Client // of the hub's namespace
	postmaster int
	workloads  []*workload
	idle       float64 // processors busy while nothing happens
}

// figures are what was measured of one workload.
type figures struct {
	name              string
	burst             []float64 // messages per second, one for each round
	cpu, cpuPostgres  []float64 // processor milliseconds per message
	sustained         float64   // messages per second
	omniTx, otherTx   float64   // transactions per message; NaN: not counted
	history           float64   // events per message; NaN: no workflow was looked at
	p50, p99          time.Duration
	accept50          time.Duration // at the rate: until the webhook's answer
	accept99          time.Duration
	fast              *fastIngest // of ingest only
	statements        string
	burstsForProfiles int
}

// fastIngest is ingest at a thousand messages per second.
type fastIngest struct {
	accept50, accept99, row50, row99 time.Duration
}

const fastRate = 1000

func newRunner(ctx context.Context, h *hub, o options) (_ *runner, err error) {
	r := &runner{o: o, hub: h}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.postmaster, _, err = h.postmaster(); err != nil {
		return nil, err
	}
	url, err := h.databaseURL("omni")
	if err != nil {
		return nil, err
	}
	if r.db, err = openDatabase(ctx, url); err != nil {
		return nil, err
	}
	if r.temporal, err = client.DialContext(ctx, client.Options{HostPort: h.temporalAddress(), Logger: silent{}}); err != nil {
		return nil, fmt.Errorf("reaching the hub's Temporal: %w", err)
	}
	if r.floor, err = startFloor(ctx, h.temporalAddress(), newTracker()); err != nil {
		return nil, err
	}
	if r.agent, err = startSlowAgent(); err != nil {
		return nil, err
	}
	return r, r.addWorkloads(ctx)
}

// sends are those of every instance of the twin: chats differ.
var sends = newTracker()

func init() { channels.Register(twin{sends: sends}) }

func (r *runner) addWorkloads(ctx context.Context) error {
	r.workloads = []*workload{floorWorkload(r.floor)}
	for _, add := range []struct {
		name   string
		agent  object
		window int
	}{
		{nameEcho, object{"provider": "echo"}, 256},
		// Enough that three seconds of thinking do not bound the throughput.
		{nameSlow, object{"provider": "openai", "apiUrl": r.agent.URL(), "apiKey": "unused", "model": "slow"}, 600},
		{nameIngest, nil, 32},
	} {
		w, err := hubWorkload(ctx, r.hub, add.name, sends, add.agent, add.window)
		if err != nil {
			return err
		}
		r.workloads = append(r.workloads, w)
	}
	if r.o.only != "" {
		wanted := strings.Split(r.o.only, ",")
		r.workloads = slices.DeleteFunc(r.workloads, func(w *workload) bool { return !slices.Contains(wanted, w.name) })
	}
	return nil
}

func (r *runner) close() {
	if r.floor != nil {
		r.floor.close()
	}
	if r.agent != nil {
		r.agent.close()
	}
	if r.temporal != nil {
		r.temporal.Close()
	}
	if r.db != nil {
		r.db.pool.Close()
	}
}

// measure runs everything. Figures are in the order of the workloads.
func (r *runner) measure(ctx context.Context) ([]*figures, error) {
	var all []*figures
	for _, w := range r.workloads {
		all = append(all, &figures{name: w.name, omniTx: math.NaN(), otherTx: math.NaN(), history: math.NaN()})
		if _, err := w.burst(ctx, min(r.o.burst, 100)); err != nil {
			return nil, err
		}
	}
	if err := r.measureIdle(ctx); err != nil {
		return nil, err
	}
	for round := range r.o.pairs {
		for i, w := range r.workloads {
			say("round %d of %d: burst of %s", round+1, r.o.pairs, w.name)
			if err := r.burst(ctx, w, all[i], round == 0); err != nil {
				return nil, err
			}
			say("  %.0f messages/s, %.2f CPU-ms per message", all[i].burst[round], all[i].cpu[round])
		}
	}
	for i, w := range r.workloads {
		if r.o.sustain <= 0 {
			break // bursts only
		}
		say("sustained and steady: %s", w.name)
		if err := r.flow(ctx, w, all[i]); err != nil {
			return nil, err
		}
		say("  %.0f messages/s; at %d/s p50 %s, p99 %s", all[i].sustained, r.o.rate, all[i].p50, all[i].p99)
	}
	return all, nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// measureIdle learns what the hub costs while nothing happens.
func (r *runner) measureIdle(ctx context.Context) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	before, began := r.cpu(), time.Now()
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	r.idle = (r.cpu() - before).Seconds() / time.Since(began).Seconds()
	return nil
}

func (r *runner) cpu() time.Duration {
	self, postgres := cpuTime(r.postmaster)
	return self + postgres
}

// settle waits until what goes on behind the replies is over: events relayed,
// workflows closed, their visibility written.
func (r *runner) settle(ctx context.Context) error {
	const window, calm, limit = 250 * time.Millisecond, 0.12, 2 * time.Minute
	quiet := 0
	for began := time.Now(); quiet < 2 && time.Since(began) < limit; {
		before, at := r.cpu(), time.Now()
		if err := pause(ctx, window); err != nil {
			return err
		}
		if (r.cpu()-before).Seconds()/time.Since(at).Seconds() < r.idle+calm {
			quiet++
		} else {
			quiet = 0
		}
	}
	return nil
}

// burst measures one burst of a workload.
func (r *runner) burst(ctx context.Context, w *workload, f *figures, first bool) error {
	count := first && (!r.o.short || w.name == nameEcho)
	var before commits
	var err error
	if count {
		if before, err = r.db.commits(ctx); err != nil {
			return err
		}
	}
	stop, err := r.profile(ctx, w, f)
	if err != nil {
		return err
	}
	selfBefore, postgresBefore := cpuTime(r.postmaster)
	began := time.Now()
	t, err := w.burst(ctx, r.o.burst)
	if err != nil {
		return err
	}
	end := t.last()
	if w.rows {
		if err := r.db.awaitRows(ctx, t.ids[max(0, len(t.ids)-2*posters):]); err != nil {
			return err
		}
		end = time.Now()
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	self, postgres := cpuTime(r.postmaster)
	idle := time.Duration(r.idle * float64(time.Since(began)))
	n := float64(r.o.burst)
	f.burst = append(f.burst, n/end.Sub(began).Seconds())
	f.cpu = append(f.cpu, (self-selfBefore+postgres-postgresBefore-idle).Seconds()*1000/n)
	f.cpuPostgres = append(f.cpuPostgres, (postgres-postgresBefore).Seconds()*1000/n)
	if err := stop(); err != nil {
		return err
	}
	if count {
		after, err := r.db.commits(ctx)
		if err != nil {
			return err
		}
		f.omniTx, f.otherTx = float64(after.omni-before.omni)/n, float64(after.temporal-before.temporal)/n
	}
	if first && !w.rows {
		f.history, err = r.history(ctx, w, t.ids)
	}
	return err
}

// profile begins to look closer at the bursts of echo, where that is wanted.
func (r *runner) profile(ctx context.Context, w *workload, f *figures) (stop func() error, err error) {
	first := f.burstsForProfiles == 0
	f.burstsForProfiles++
	if w.name != r.o.profiled || !first {
		return func() error { return nil }, nil
	}
	if r.o.statements {
		if err := r.db.resetStatements(ctx); err != nil {
			return nil, err
		}
	}
	var file *os.File
	if r.o.cpuProfile != "" {
		if file, err = os.Create(r.o.cpuProfile); err != nil {
			return nil, fmt.Errorf("opening the CPU profile: %w", err)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return nil, fmt.Errorf("starting the CPU profile: %w", err)
		}
	}
	return func() (err error) {
		if file != nil {
			pprof.StopCPUProfile()
			err = file.Close()
		}
		if r.o.statements {
			var listErr error
			f.statements, listErr = r.db.statements(ctx, r.o.burst)
			err = errors.Join(err, listErr)
		}
		return err
	}, nil
}

// history is how many events the workflow of a message has, on average over a
// few of them.
func (r *runner) history(ctx context.Context, w *workload, ids []uuid.UUID) (float64, error) {
	c := r.temporal
	if w.name == nameFloor {
		c = r.floor.client
	}
	const looks = 10
	sum := 0.0
	for _, id := range ids[:min(looks, len(ids))] {
		d, err := c.DescribeWorkflowExecution(ctx, workflows.MessageWorkflowID(id), "")
		if err != nil {
			return 0, fmt.Errorf("describing the workflow of message %s: %w", id, err)
		}
		sum += float64(d.GetWorkflowExecutionInfo().GetHistoryLength())
	}
	return sum / float64(min(looks, len(ids))), nil
}

// flow measures a workload over a while: as much as it takes, and at a rate.
func (r *runner) flow(ctx context.Context, w *workload, f *figures) error {
	if w.rows {
		return r.ingestFlow(ctx, w, f)
	}
	ramp := r.o.sustain / 4
	if w.name == nameSlow {
		ramp = max(ramp, 2*slowAgentTakes)
	}
	from := time.Now().Add(ramp)
	to := from.Add(r.o.sustain)
	t, err := w.closedLoop(ctx, ramp+r.o.sustain)
	if err != nil {
		return err
	}
	f.sustained = float64(t.between(from, to)) / r.o.sustain.Seconds()
	if err := r.settle(ctx); err != nil {
		return err
	}
	if t, err = w.openLoop(ctx, r.o.rate, r.o.steady); err != nil {
		return err
	}
	f.p50, f.p99 = percentile(t.took, 0.5), percentile(t.took, 0.99)
	return r.settle(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// silent is a logger for a client that has nothing to say.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	pairs      int
	burst      int
	sustain    time.Duration
	rate       int
	steady     time.Duration
	short      bool
	write      string
	cpuProfile string
	statements bool
	only       string
	profiled   string
}

func parseOptions() options {
	var o options
	flag.IntVar(&o.pairs, "pairs", 5, "interleaved rounds of bursts; figures are medians over them")
	flag.IntVar(&o.burst, "burst", 2000, "messages of a burst, each in its own chat")
	flag.DurationVar(&o.sustain, "sustain", 20*time.Second, "how long the closed loop runs; 0: bursts only")
	flag.IntVar(&o.rate, "rate", 50, "messages per second while latency is measured")
	flag.DurationVar(&o.steady, "steady", 15*time.Second, "how long latency is measured")
	flag.BoolVar(&o.short, "short", false, "a smoke run of less than a minute; its figures mean little")
	flag.StringVar(&o.write, "write", "", "also write the report to this file")
	flag.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of the bursts to this file")
	flag.StringVar(&o.profiled, "profiled", nameEcho, "the workload that -cpuprofile and -statements look at")
	flag.BoolVar(&o.statements, "statements", false, "list the statements Postgres spent its time on (needs pg_stat_statements)")
	flag.StringVar(&o.only, "only", "", "comma list of workloads: floor, echo, slow, ingest")
	flag.Parse()
	if o.short {
		o.pairs, o.burst, o.sustain, o.steady = 1, 200, 3*time.Second, 3*time.Second
	}
	return o
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parseOptions()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	hub, err := startHub(ctx, o.statements)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := hub.stop(); err == nil {
			err = stopErr
		}
	}()
	r, err := newRunner(ctx, hub, o)
	if err != nil {
		return err
	}
	defer r.close()
	result, err := r.measure(ctx)
	if err != nil {
		return fmt.Errorf("%w\nthe hub's last words:\n%s", err, hub.tail())
	}
	text := report(o, describeMachine(hub.dir), result)
	fmt.Print(text)
	if o.write == "" {
		return nil
	}
	if err := os.WriteFile(o.write, []byte(text), 0o644); err != nil { //nolint:gosec // a document
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// report is docs/performance.md, and what the command prints.
func report(o options, m machine, all []*figures) string {
	var b strings.Builder
	b.WriteString("# Performance\n\nWritten by `make bench`. Everything runs on one machine: the hub with its embedded Postgres, NATS and\n" +
		"Temporal, and the program that sends the messages.\n\n")
	fmt.Fprintf(&b, "Machine: %s, %d cores, %s of memory, %s; writing 4 KiB through to the disk takes %s.\n", m.cpu, m.cores, m.memory,
		m.system, m.fsync.Round(10*time.Microsecond))
	fmt.Fprintf(&b, "Bursts of %d messages, each in its own chat; medians of %d interleaved rounds.\n\n", o.burst, o.pairs)
	if o.short {
		b.WriteString("**A smoke run (`-short`): its figures mean little.**\n\n")
	}
	writeWorkloads(&b)
	writeTable(&b, o, all)
	writeIngest(&b, all)
	writeRatios(&b, o, all)
	writeAims(&b, o, all)
	for _, f := range all {
		if f.statements != "" {
			fmt.Fprintf(&b, "\nWhere Postgres spent its time during a burst of %s:\n\n```\n%s```\n", f.name, f.statements)
		}
	}
	return b.String()
}

func writeWorkloads(b *strings.Builder) {
	b.WriteString("| workload | what |\n|---|---|\n" +
		"| floor | the hub's message workflow with steps that do nothing, started as the hub starts it: what Temporal alone costs |\n" +
		"| echo | webhook to send, everything durable, with an agent that answers at once |\n" +
		"| slow | the same with an agent that takes 3 s, called in a regular activity |\n" +
		"| ingest | an instance without an agent: webhook, durable, row in Postgres (what is only recorded has no workflow) |\n\n")
}

func writeTable(b *strings.Builder, o options, all []*figures) {
	row := func(name string, cell func(f *figures) string) {
		fmt.Fprintf(b, "| %s |", name)
		for _, f := range all {
			fmt.Fprintf(b, " %s |", cell(f))
		}
		b.WriteString("\n")
	}
	row("", func(f *figures) string { return f.name })
	b.WriteString("|---|" + strings.Repeat("---|", len(all)) + "\n")
	row("burst, messages/s", func(f *figures) string { return number(median(f.burst), 0) })
	row("sustained, messages/s", func(f *figures) string { return number(f.sustained, 0) })
	row(fmt.Sprintf("at %d/s, p50", o.rate), func(f *figures) string { return millis(f.p50) })
	row(fmt.Sprintf("at %d/s, p99", o.rate), func(f *figures) string { return millis(f.p99) })
	row("CPU-ms per message", func(f *figures) string { return number(median(f.cpu), 2) })
	row("of these Postgres", func(f *figures) string { return number(median(f.cpuPostgres), 2) })
	row("history events per message", func(f *figures) string { return number(f.history, 1) })
	row("transactions per message, Omni", func(f *figures) string { return number(f.omniTx, 2) })
	row("transactions per message, Temporal", func(f *figures) string { return number(f.otherTx, 2) })
	b.WriteString("\nTimes are from the call of the webhook to the send (floor: start to the last step; ingest: to the row in Postgres).\n" +
		"CPU time is that of the hub, of Postgres and of the program that sends, less what the hub costs while idle.\n")
}

func writeIngest(b *strings.Builder, all []*figures) {
	for _, f := range all {
		if f.fast == nil {
			continue
		}
		fmt.Fprintf(b, "\nIngest at %d/s: answer to the webhook p50 %s, p99 %s; row in Postgres p50 %s, p99 %s.\n", fastRate,
			millis(f.fast.accept50), millis(f.fast.accept99), millis(f.fast.row50), millis(f.fast.row99))
	}
}

// writeRatios sets each workload against the floor, round by round: a machine
// that is slower in one round is so for all of them.
func writeRatios(b *strings.Builder, o options, all []*figures) {
	if len(all) < 2 || all[0].name != nameFloor {
		return
	}
	floor := all[0]
	b.WriteString("\n| against the floor | burst | sustained | CPU | burst, each round |\n|---|---|---|---|---|\n")
	for _, f := range all[1:] {
		throughput, cpu := ratios(o, f.burst, floor.burst), ratios(o, f.cpu, floor.cpu)
		var rounds []string
		for _, r := range throughput {
			rounds = append(rounds, number(r, 2))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", f.name, number(median(throughput), 2), number(f.sustained/floor.sustained, 2),
			number(median(cpu), 2), strings.Join(rounds, " "))
	}
}

func number(v float64, digits int) string {
	if math.IsNaN(v) || v == 0 {
		return "" // not measured
	}
	return fmt.Sprintf("%.*f", digits, v)
}

func millis(d time.Duration) string {
	if d == 0 {
		return ""
	}
	ms := float64(d) / float64(time.Millisecond)
	if ms >= 100 {
		return number(ms, 0) + " ms"
	}
	return number(ms, 1) + " ms"
}

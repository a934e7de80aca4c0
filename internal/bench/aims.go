package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// aim is a figure that is to be reached on two cores.
type aim struct {
	what  string
	want  float64
	least bool // at least want; else at most
	unit  string
	got   float64 // NaN: not measured
}

func (a aim) reached() string {
	switch {
	case math.IsNaN(a.got):
		return ""
	case a.least && a.got >= a.want, !a.least && a.got <= a.want:
		return "yes"
	default:
		return "no"
	}
}

// writeAims sets what was measured against what is aimed at.
func writeAims(b *strings.Builder, o options, all []*figures) {
	aims := aimsOf(o, all)
	if len(aims) == 0 {
		return
	}
	b.WriteString("\n| aim | wanted | measured | reached |\n|---|---|---|---|\n")
	for _, a := range aims {
		bound := "at most"
		if a.least {
			bound = "at least"
		}
		got := ""
		if !math.IsNaN(a.got) {
			got = trimmed(a.got) + a.unit
		}
		fmt.Fprintf(b, "| %s | %s %s%s | %s | %s |\n", a.what, bound, trimmed(a.want), a.unit, got, a.reached())
	}
}

func aimsOf(o options, all []*figures) []aim {
	by := map[string]*figures{}
	for _, f := range all {
		by[f.name] = f
	}
	against := func(f *figures) float64 {
		floor := by[nameFloor]
		if floor == nil {
			return math.NaN()
		}
		return median(ratios(o, f.burst, floor.burst))
	}
	var aims []aim
	if f := by[nameEcho]; f != nil {
		aims = append(aims, aim{"echo against the floor, burst", 0.6, true, "", against(f)},
			aim{"echo, transactions of Omni per message", 6, false, "", f.omniTx},
			aim{fmt.Sprintf("echo, reply at %d/s, p50", o.rate), 15, false, " ms", inMillis(f.p50)})
	}
	if f := by[nameSlow]; f != nil {
		aims = append(aims, aim{"slow against the floor, burst", 0.3, true, "", against(f)})
	}
	if f := by[nameIngest]; f != nil {
		p99 := math.NaN()
		if f.fast != nil {
			p99 = inMillis(f.fast.row99)
		}
		aims = append(aims, aim{"ingest, burst", fastRate, true, " messages/s", median(f.burst)},
			aim{fmt.Sprintf("ingest at %d/s, row in Postgres, p99", fastRate), 50, false, " ms", p99})
	}
	return aims
}

// ratios are those of each round.
func ratios(o options, of, to []float64) []float64 {
	var all []float64
	for i := range min(o.pairs, len(of), len(to)) {
		all = append(all, of[i]/to[i])
	}
	return all
}

func inMillis(d time.Duration) float64 {
	if d == 0 {
		return math.NaN()
	}
	return float64(d) / float64(time.Millisecond)
}

func trimmed(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

package main

import (
	"slices"
	"time"
)

// percentile of a sample, 0 where it is empty. p is in [0,1].
func percentile(sample []time.Duration, p float64) time.Duration {
	if len(sample) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(sample))
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

// median of a sample, 0 where it is empty.
func median(sample []float64) float64 {
	if len(sample) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(sample))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

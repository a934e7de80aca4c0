package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of /proc/<pid>/stat, which is 100 Hz on every Linux
// that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuTime is the processor time of this process (the hub and the load) and of
// Postgres with all its backends, those that have ended included.
func cpuTime(postmaster int) (self, postgres time.Duration) {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		self = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		pid, fields := readStat(path)
		if fields == nil {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		switch {
		case pid == postmaster:
			postgres += ticks(fields[11:15]) // its own and its children's that were waited for
		case parent == postmaster:
			postgres += ticks(fields[11:13])
		}
	}
	return self, postgres
}

// readStat returns the fields behind the command's name: state, parent, ….
func readStat(path string) (pid int, fields []string) {
	content, err := os.ReadFile(path) //nolint:gosec // of /proc
	if err != nil {
		return 0, nil // gone meanwhile
	}
	line := string(content)
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return 0, nil
	}
	pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
	if fields = strings.Fields(line[end+1:]); len(fields) < 15 {
		return 0, nil
	}
	return pid, fields
}

func ticks(fields []string) time.Duration {
	var sum time.Duration
	for _, f := range fields {
		n, _ := strconv.ParseInt(f, 10, 64)
		sum += time.Duration(n) * clockTick
	}
	return sum
}

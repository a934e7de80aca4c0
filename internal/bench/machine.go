package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine is what the figures were taken on.
type machine struct {
	cpu    string
	cores  int
	memory string
	system string
	fsync  time.Duration // median of writing 4 KiB through to the disk
}

func describeMachine(dir string) machine {
	m := machine{cpu: "unknown", cores: runtime.NumCPU(), memory: "unknown", system: runtime.GOOS + "/" + runtime.GOARCH}
	if name := procField("/proc/cpuinfo", "model name"); name != "" {
		m.cpu = name
	}
	if total := procField("/proc/meminfo", "MemTotal"); total != "" {
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(total, " kB"), 64)
		m.memory = fmt.Sprintf("%.1f GiB", kib/(1<<20))
	}
	m.fsync = fsyncCost(dir)
	return m
}

// procField is the first value of a name in a file of "name: value" lines.
func procField(path, name string) string {
	file, err := os.Open(path) //nolint:gosec // of /proc
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func fsyncCost(dir string) time.Duration {
	path := filepath.Join(dir, "fsync")
	file, err := os.Create(path) //nolint:gosec // our own folder
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close(); _ = os.Remove(path) }()
	block := make([]byte, 4096)
	var took []time.Duration
	for range 200 {
		began := time.Now()
		if _, err := file.Write(block); err != nil {
			return 0
		}
		if err := file.Sync(); err != nil {
			return 0
		}
		took = append(took, time.Since(began))
	}
	return percentile(took, 0.5)
}

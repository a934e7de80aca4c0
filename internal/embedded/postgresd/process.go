package postgresd

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// IsServer reports whether the process is a live postmaster: a pid in a file
// may have been given to some other program since.
func IsServer(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		// Without /proc the signal's answer must do.
		_, procErr := os.Stat("/proc/self/comm")
		return procErr != nil
	}
	return strings.HasPrefix(strings.TrimSpace(string(name)), "postgres") && !isZombie(pid)
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	// pid (comm) state …: the name may hold anything, the last bracket ends it.
	_, after, found := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), ") ")
	return found && strings.HasPrefix(after, "Z")
}

package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockDataDir makes the folder and takes it for this process alone, until the
// file is closed or the process ends, however it ends.
func lockDataDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("OMNI_DATA_DIR %s cannot be made: %w", dir, reason(err))
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("OMNI_DATA_DIR %s cannot be written: %w", dir, reason(err))
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(file.Name())
		_ = file.Close()
		return nil, fmt.Errorf("OMNI_DATA_DIR %s is in use by another omni (process %s)", dir, strings.TrimSpace(string(holder)))
	}
	if err := errors.Join(file.Truncate(0), writePID(file)); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("OMNI_DATA_DIR %s cannot be written: %w", dir, reason(err))
	}
	return file, nil
}

func writePID(file *os.File) error {
	_, err := fmt.Fprintln(file, os.Getpid())
	return err
}

// reason is why the system refused, without the path that the caller names.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

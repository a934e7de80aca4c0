package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/omnihub/omni/internal/e2e/hubtest"
)

// binary is the hub under test, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "omni-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "omni")
	args := []string{"build", "-o", binary}
	if os.Getenv(hubtest.RaceVariable) != "" {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "../../cmd/omni")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the hub:", err)
		return 1
	}
	return m.Run()
}

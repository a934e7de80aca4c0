package testkit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// NPM installs the packages that package-lock.json in dir pins, once for each
// lock file, in the user's cache, and returns where they are. Their scripts are
// not run. Without Node.js the test fails with a line that says what to install.
func NPM(t *testing.T, dir string) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is not installed: this test needs Node.js 20 or later with npm (Debian: apt-get install nodejs npm)", program)
		}
	}
	cache, err := os.UserCacheDir()
	fatal(t, err)
	files := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		files[name], err = os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // a file of the repository
		fatal(t, err)
		sum.Write(files[name])
	}
	installed := filepath.Join(cache, "omni", "node", filepath.Base(dir)+"-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(installed); err == nil {
		return installed
	}
	// Made beside and then moved: an interrupted installation is never used.
	fatal(t, os.MkdirAll(filepath.Dir(installed), 0o750))
	made, err := os.MkdirTemp(filepath.Dir(installed), filepath.Base(dir)+"-*") //nolint:usetesting // it outlives the test
	fatal(t, err)
	for name, data := range files {
		fatal(t, os.WriteFile(filepath.Join(made, name), data, 0o600))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = made
	var out bytes.Buffer
	npm.Stdout, npm.Stderr = &out, &out
	if err := npm.Run(); err != nil {
		_ = os.RemoveAll(made)
		t.Fatalf("npm ci in %s (needs the npm registry once): %v\n%s", dir, err, out.String())
	}
	if err := os.Rename(made, installed); err != nil {
		_ = os.RemoveAll(made) // another process was first
	}
	return installed
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package telegramtest

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

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A third party's client drives the server through every method: what the Go
// library and this fake might both misread, it does not.
func TestGrammY(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := installGrammY(ctx, t)
	// The script runs where its imports are found.
	script, err := os.ReadFile(filepath.Join("testdata", "grammy", "check.mjs"))
	require.NoError(t, err)
	copied := filepath.Join(dir, "check-"+hash(script)+".mjs")
	require.NoError(t, os.WriteFile(copied, script, 0o600))
	cmd := exec.CommandContext(ctx, "node", copied) // #nosec G204: our own script
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "API_ROOT="+srv.URL(), "BOT_TOKEN="+srv.Token())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "ok all")
	require.Empty(t, srv.Violations())
}

// installGrammY runs npm ci once for each lock file, in the user's cache.
func installGrammY(ctx context.Context, t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is not installed: this test needs Node.js 20 or later with npm (Debian: apt-get install nodejs npm)", program)
		}
	}
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	files := map[string][]byte{}
	var all []byte
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", "grammy", name))
		require.NoError(t, err)
		files[name] = data
		all = append(all, data...)
	}
	dir := filepath.Join(cache, "omni", "node", "grammy-"+hash(all))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	// Made beside and then moved: an interrupted installation is never used.
	require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o750))
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "grammy-*")
	require.NoError(t, err)
	for name, data := range files {
		require.NoError(t, os.WriteFile(filepath.Join(tmp, name), data, 0o600))
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = tmp
	var out bytes.Buffer
	npm.Stdout, npm.Stderr = &out, &out
	if err := npm.Run(); err != nil {
		_ = os.RemoveAll(tmp)
		t.Fatalf("installing grammY with npm ci (needs the npm registry once): %v\n%s", err, out.String())
	}
	if err := os.Rename(tmp, dir); err != nil {
		_ = os.RemoveAll(tmp) // another process was first
	}
	return dir
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

func newServer(t *testing.T) *Server {
	t.Helper()
	srv, err := New()
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	return srv
}

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/cli"
	"github.com/omnihub/omni/internal/testkit"
)

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

// run runs one command line with nothing but the given environment.
func run(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := cli.Main(ctx, args, cli.Env{
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Environ: environ, DotEnv: filepath.Join(t.TempDir(), ".env"),
	})
	return result{code, stdout.String(), stderr.String()}
}

// requireOneLine checks the promise for bad configuration: exit code 1 and one
// line that names what is at fault.
func requireOneLine(t *testing.T, r result, names ...string) {
	t.Helper()
	require.Equal(t, 1, r.code, r.stderr)
	require.Empty(t, r.stdout)
	line, rest, ended := strings.Cut(r.stderr, "\n")
	require.True(t, ended, r.stderr)
	require.Empty(t, rest, "one line")
	for _, name := range names {
		require.Contains(t, line, name)
	}
}

func usedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}

func TestBadConfigurationIsOneLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	data := "OMNI_DATA_DIR=" + filepath.Join(dir, "data")
	port := usedPort(t)
	for name, test := range map[string]struct {
		environ []string
		names   []string
	}{
		"unknown variable":       {[]string{"OMNI_PROT=1"}, []string{"OMNI_PROT", "OMNI_PORT"}},
		"bad value":              {[]string{"OMNI_PORT=many"}, []string{"OMNI_PORT"}},
		"short key":              {[]string{"OMNI_API_KEY=short"}, []string{"OMNI_API_KEY"}},
		"API port in use":        {[]string{data, "OMNI_PORT=" + port}, []string{"OMNI_PORT", "127.0.0.1:" + port}},
		"UI port in use":         {[]string{data, "OMNI_PORT=0", "OMNI_TEMPORAL_UI_PORT=" + port}, []string{"OMNI_TEMPORAL_UI_PORT", port}},
		"NATS port in use":       {[]string{data, "OMNI_PORT=0", "OMNI_NATS_PORT=" + port}, []string{"OMNI_NATS_PORT", port}},
		"address of another":     {[]string{data, "OMNI_HOST=192.0.2.1", "OMNI_PORT=0"}, []string{"OMNI_HOST", "192.0.2.1"}},
		"folder is a file":       {[]string{"OMNI_PORT=0", "OMNI_DATA_DIR=" + file}, []string{"OMNI_DATA_DIR", file}},
		"folder below a file":    {[]string{"OMNI_PORT=0", "OMNI_DATA_DIR=" + file + "/x"}, []string{"OMNI_DATA_DIR", file + "/x"}},
		"unreachable database":   {[]string{data + "2", "OMNI_PORT=0", "OMNI_TEMPORAL_UI_PORT=0", "DATABASE_URL=postgres://u:hunter2@127.0.0.1:1/x"}, []string{"DATABASE_URL", "127.0.0.1:1"}},
		"database is no URL":     {[]string{data, "DATABASE_URL=127.0.0.1"}, []string{"DATABASE_URL"}},
		"secret file is missing": {[]string{data, "OMNI_API_KEY_FILE=/no/such"}, []string{"OMNI_API_KEY_FILE", "/no/such"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, test.environ, "up")
			requireOneLine(t, r, test.names...)
			require.NotContains(t, r.stderr, "hunter2")
		})
	}
}

func TestServeNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	requireOneLine(t, run(t, nil, "serve"), "DATABASE_URL", "NATS_URL", "TEMPORAL_ADDRESS", "OMNI_ENCRYPTION_KEY")
	r := run(t, []string{
		"DATABASE_URL=" + testkit.EmptyPostgres(t), "NATS_URL=nats://127.0.0.1:1", "TEMPORAL_ADDRESS=127.0.0.1:1",
		"OMNI_ENCRYPTION_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "OMNI_PORT=0",
	}, "serve")
	requireOneLine(t, r, "DATABASE_URL", "omni migrate up")
}

func TestMisuseIsExitCode2(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"fly"}, {"up", "--fast"}, {"up", "now"}, {"serve", "--roles", "api,pilot"}, {"serve", "--roles", ""},
	} {
		r := run(t, nil, args...)
		require.Equal(t, 2, r.code, args)
		require.Empty(t, r.stdout, args)
		require.Contains(t, r.stderr, "omni: ", args)
	}
}

func TestHelpIsOnStdout(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--help"}, {"migrate"}, {"up", "--help"}} {
		r := run(t, nil, args...)
		require.Zero(t, r.code, args)
		require.Contains(t, r.stdout, "Usage:", args)
	}
}

func TestConfigIsMasked(t *testing.T) {
	t.Parallel()
	environ := []string{"OMNI_API_KEY=hunter2-hunter2-hunter2", "OMNI_PORT=1234"}
	r := run(t, environ, "config")
	require.Zero(t, r.code)
	require.NotContains(t, r.stdout, "hunter2")
	require.Regexp(t, `OMNI_PORT +1234 +environment`, r.stdout)

	r = run(t, environ, "config", "--json")
	require.NotContains(t, r.stdout, "hunter2")
	var settings []struct{ Name, Value, Origin string }
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &settings))
	require.NotEmpty(t, settings)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	require.Contains(t, run(t, nil, "version").stdout, "omni ")
	var out map[string]string
	require.NoError(t, json.Unmarshal([]byte(run(t, nil, "version", "--json").stdout), &out))
	require.NotEmpty(t, out["version"])
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	requireOneLine(t, run(t, nil, "migrate", "up"), "DATABASE_URL")
	requireOneLine(t, run(t, []string{"DATABASE_URL=postgres://127.0.0.1:1/x"}, "migrate", "status"), "DATABASE_URL", "127.0.0.1:1")
	environ := []string{"DATABASE_URL=" + testkit.EmptyPostgres(t)}
	require.Contains(t, run(t, environ, "migrate", "status").stdout, "pending")
	for range 2 {
		r := run(t, environ, "migrate", "up")
		require.Zero(t, r.code, r.stderr)
		require.Contains(t, r.stdout, "up to date")
	}
	require.NotContains(t, run(t, environ, "migrate", "status").stdout, "pending")
	var list []struct{ Applied bool }
	require.NoError(t, json.Unmarshal([]byte(run(t, environ, "migrate", "status", "--json").stdout), &list))
	require.NotEmpty(t, list)
}

func TestDoctorSaysThatNoHubAnswers(t *testing.T) {
	t.Parallel()
	r := run(t, []string{"OMNI_API_URL=http://127.0.0.1:1"}, "doctor")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stdout, "✗ api")
	require.Contains(t, r.stdout, "127.0.0.1:1")
}

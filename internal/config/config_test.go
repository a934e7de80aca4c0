package config_test

import (
	"encoding/base64"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/config"
)

var update = flag.Bool("update", false, "write docs/config.md and .env.example")

func load(t *testing.T, environ ...string) (*config.Config, error) {
	t.Helper()
	return config.Load(environ, filepath.Join(t.TempDir(), ".env"))
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := load(t)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", c.Host)
	require.Equal(t, 8881, c.Port)
	require.Equal(t, 8233, c.TemporalUIPort)
	require.Zero(t, c.NATSPort)
	require.True(t, filepath.IsAbs(c.DataDir))
	require.Equal(t, "https://api.openai.com/v1", c.OpenAIBaseURL)
}

func TestEveryContractVariableIsThere(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	c, err := load(t)
	require.NoError(t, err)
	for _, setting := range c.Settings() {
		names[setting.Name] = true
	}
	for name := range strings.FieldsSeq(`OMNI_HOST OMNI_PORT OMNI_API_KEY OMNI_DATA_DIR OMNI_ENCRYPTION_KEY
		OMNI_PUBLIC_URL OMNI_TEMPORAL_UI_PORT OMNI_TEMPORAL_PORT OMNI_NATS_PORT DATABASE_URL NATS_URL
		TEMPORAL_ADDRESS TEMPORAL_NAMESPACE GROQ_API_KEY OPENAI_API_KEY GEMINI_API_KEY ANTHROPIC_API_KEY
		GROQ_BASE_URL OPENAI_BASE_URL GEMINI_BASE_URL ANTHROPIC_BASE_URL OMNI_ALLOW_PRIVATE_NETWORKS
		OTEL_EXPORTER_OTLP_ENDPOINT SLACK_CLIENT_ID SLACK_CLIENT_SECRET WHATSAPP_CLOUD_APP_ID
		WHATSAPP_CLOUD_APP_SECRET`) {
		require.True(t, names[name], name)
	}
}

func TestEveryFieldIsTagged(t *testing.T) {
	t.Parallel()
	typ := reflect.TypeFor[config.Config]()
	seen := map[string]bool{}
	for f := range typ.Fields() {
		if !f.IsExported() {
			continue
		}
		require.NotEmpty(t, f.Tag.Get("env"), f.Name)
		require.NotEmpty(t, f.Tag.Get("doc"), f.Name)
		require.True(t, strings.HasSuffix(f.Tag.Get("doc"), "."), "%s: doc is a sentence", f.Name)
		require.False(t, seen[f.Tag.Get("env")], f.Name)
		seen[f.Tag.Get("env")] = true
		if strings.Contains(f.Tag.Get("env"), "KEY") || strings.Contains(f.Tag.Get("env"), "SECRET") {
			require.NotEmpty(t, f.Tag.Get("secret"), f.Name)
		}
	}
}

func TestMistakesAreNamedInOneLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		environ string
		want    []string
	}{
		{"typo", "OMNI_PROT=1", []string{"unknown variable OMNI_PROT", "OMNI_PORT"}},
		{"typo in a file variant", "OMNI_APIKEY_FILE=x", []string{"OMNI_APIKEY_FILE", "OMNI_API_KEY_FILE"}},
		{"port is a word", "OMNI_PORT=http", []string{"OMNI_PORT must be a whole number"}},
		{"port out of range", "OMNI_PORT=70000", []string{"OMNI_PORT must be a port"}},
		{"negative port", "OMNI_NATS_PORT=-1", []string{"OMNI_NATS_PORT must be a port"}},
		{"short key", "OMNI_API_KEY=short", []string{"OMNI_API_KEY must have 16"}},
		{"encryption key", "OMNI_ENCRYPTION_KEY=aGk=", []string{"OMNI_ENCRYPTION_KEY must be 32 bytes"}},
		{"public url", "OMNI_PUBLIC_URL=example.org", []string{"OMNI_PUBLIC_URL must be a URL"}},
		{"database", "DATABASE_URL=mysql://x", []string{"DATABASE_URL must be a URL that begins with postgres://"}},
		{"nats", "NATS_URL=localhost:4222", []string{"NATS_URL must be a URL"}},
		{"temporal", "TEMPORAL_ADDRESS=localhost", []string{"TEMPORAL_ADDRESS must be host:port"}},
		{"host", "OMNI_HOST=not a host", []string{"OMNI_HOST must be"}},
		{"networks", "OMNI_ALLOW_PRIVATE_NETWORKS=10.0.0.0/99,a", []string{"OMNI_ALLOW_PRIVATE_NETWORKS must be"}},
		{"proxies", "OMNI_TRUSTED_PROXIES=10.0.0.0/99", []string{"OMNI_TRUSTED_PROXIES must be CIDRs"}},
		{"proxies by name", "OMNI_TRUSTED_PROXIES=10.0.0.0/8,proxy.local", []string{"OMNI_TRUSTED_PROXIES must be CIDRs"}},
		{"level", "OMNI_LOG_LEVEL=loud", []string{"OMNI_LOG_LEVEL must be one of debug, info, warn, error"}},
		{"base url", "GROQ_BASE_URL=ftp://x", []string{"GROQ_BASE_URL must be"}},
		{"file that is not there", "OMNI_API_KEY_FILE=/no/such/file", []string{"OMNI_API_KEY_FILE", "/no/such/file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, test.environ)
			require.Error(t, err)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestTrustedProxiesAreNetworks(t *testing.T) {
	t.Parallel()
	c, err := load(t, "OMNI_TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.7,::1,::ffff:198.51.100.9")
	require.NoError(t, err)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("198.51.100.9/32")}, c.Proxies())
	c, err = load(t)
	require.NoError(t, err)
	require.Empty(t, c.Proxies(), "nobody is believed unless named")
}

func TestErrorsNeverQuoteValues(t *testing.T) {
	t.Parallel()
	_, err := load(t, "DATABASE_URL=mysql://u:hunter2@h/d", "OMNI_API_KEY=hunter2", "OMNI_PORT=hunter2")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
	for _, name := range []string{"DATABASE_URL", "OMNI_API_KEY", "OMNI_PORT"} {
		require.ErrorContains(t, err, name, "every mistake is named")
	}
}

func TestDotEnvIsReadAndTheEnvironmentWins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "key")
	require.NoError(t, os.WriteFile(secret, []byte("a-key-from-a-file\n"), 0o600))
	dotEnv := filepath.Join(dir, ".env")
	require.NoError(t, os.WriteFile(dotEnv, []byte("OMNI_PORT=1111\nOMNI_HOST=0.0.0.0\nOMNI_API_KEY=from-dot-env-000\n"), 0o600))
	c, err := config.Load([]string{"OMNI_PORT=2222", "OMNI_API_KEY_FILE=" + secret, "OMNI_HOST="}, dotEnv)
	require.NoError(t, err)
	require.Equal(t, 2222, c.Port)
	require.Equal(t, "0.0.0.0", c.Host, "an empty variable counts as unset")
	require.Equal(t, "a-key-from-a-file", c.APIKey, "without the file's last newline")

	require.NoError(t, os.WriteFile(dotEnv, []byte("OMNI_PROT=1\n"), 0o600))
	_, err = config.Load(nil, dotEnv)
	require.ErrorContains(t, err, "OMNI_PORT", "typos are found in .env too")
}

func TestPlainAndFileTogetherAreRefused(t *testing.T) {
	t.Parallel()
	_, err := load(t, "OMNI_API_KEY=0123456789abcdef", "OMNI_API_KEY_FILE=/x")
	require.ErrorContains(t, err, "OMNI_API_KEY and OMNI_API_KEY_FILE are both set")
}

func TestSettingsMaskSecrets(t *testing.T) {
	t.Parallel()
	c, err := load(t, "OMNI_API_KEY=hunter2hunter2hunter2", "DATABASE_URL=postgres://u:hunter2@h:5432/d?sslmode=disable",
		"NATS_URL=nats://u:hunter2@a:1,nats://b:2", "OPENAI_API_KEY=hunter2",
		"OMNI_ENCRYPTION_KEY="+base64.StdEncoding.EncodeToString([]byte("hunter2hunter2hunter2hunter2hunt")))
	require.NoError(t, err)
	shown := map[string]config.Setting{}
	for _, setting := range c.Settings() {
		shown[setting.Name] = setting
		require.NotContains(t, setting.Value, "hunter2", setting.Name)
	}
	require.Equal(t, "postgres://u:•••@h:5432/d?sslmode=disable", shown["DATABASE_URL"].Value)
	require.Equal(t, "nats://u:•••@a:1,nats://b:2", shown["NATS_URL"].Value)
	require.Equal(t, "•••", shown["OMNI_API_KEY"].Value)
	require.Equal(t, config.OriginEnvironment, shown["OMNI_API_KEY"].Origin)
	require.Equal(t, "8881", shown["OMNI_PORT"].Value)
	require.Equal(t, config.OriginDefault, shown["OMNI_PORT"].Origin)
}

// TestGeneratedFilesAreCurrent keeps docs/config.md and .env.example equal to
// the struct; `make generate` writes them.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"../../docs/config.md": config.Markdown(),
		"../../.env.example":   config.Example(),
	} {
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		}
		have, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(have), "%s is not current: run make generate", path)
	}
}

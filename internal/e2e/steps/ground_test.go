package steps

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/embedded"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/telemetry"
	"github.com/omnihub/omni/internal/testkit"
)

// ground is what hubs stand on while they come and go: one Postgres and one
// Temporal for all tests. Each site has a database, a NATS server and a
// namespace of its own.
var ground groundwork

type groundwork struct {
	once  sync.Once
	dir   string
	stack *embedded.Stack
	admin *pgxpool.Pool
	err   error
}

const apiKey = "steps-bootstrap-key-0123456789"

func (g *groundwork) start() error {
	g.once.Do(func() {
		// Postgres runs as another user than root and must be able to reach it.
		if g.dir, g.err = os.MkdirTemp("", "omni-steps-"); g.err != nil {
			return
		}
		if g.err = os.Chmod(g.dir, 0o755); g.err != nil { //nolint:gosec // as said above
			return
		}
		cfg, err := config.Load([]string{"OMNI_DATA_DIR=" + filepath.Join(g.dir, "data"), "OMNI_TEMPORAL_UI_PORT=0"}, "")
		if err != nil {
			g.err = err
			return
		}
		log := telemetry.NewLogger(io.Discard, telemetry.FormatText, nil)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if g.stack, g.err = embedded.Start(ctx, cfg, log); g.err != nil {
			return
		}
		if g.admin, g.err = pgxpool.New(ctx, g.stack.DatabaseURL); g.err != nil {
			return
		}
		_, g.err = store.Migrate(ctx, g.stack.DatabaseURL) // the template of the sites' databases
	})
	return g.err
}

func (g *groundwork) stop() error {
	if g.dir == "" {
		return nil
	}
	var err error
	if g.admin != nil {
		g.admin.Close()
	}
	if g.stack != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		err = g.stack.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(g.dir))
}

// site is the ground of one hub and the tests' view of it.
type site struct {
	t           *testing.T
	dir         string
	port        int
	databaseURL string
	natsURL     string
	namespace   string
	db          *pgxpool.Pool
	temporal    client.Client
}

func newSite(t *testing.T) *site {
	t.Helper()
	require.NoError(t, ground.start())
	s := &site{t: t, dir: t.TempDir(), port: testkit.FreePort(t), namespace: "site-" + strings.ToLower(rand.Text()[:8])}
	s.natsURL = testkit.NATSServer(t).ClientURL()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	name := strings.ReplaceAll(s.namespace, "-", "_")
	_, err := ground.admin.Exec(ctx, "CREATE DATABASE "+name)
	require.NoError(t, err)
	address, err := url.Parse(ground.stack.DatabaseURL)
	require.NoError(t, err)
	address.Path = "/" + name
	s.databaseURL = address.String()
	s.db, err = pgxpool.New(ctx, s.databaseURL)
	require.NoError(t, err)
	t.Cleanup(s.db.Close)
	s.temporal, err = client.NewLazyClient(client.Options{HostPort: ground.stack.TemporalAddress, Namespace: s.namespace,
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(s.temporal.Close)
	return s
}

// environ is the hub's environment.
func (s *site) environ() []string {
	return []string{
		"OMNI_API_KEY=" + apiKey, "OMNI_ALLOW_PRIVATE_NETWORKS=127.0.0.1", "OMNI_DATA_DIR=" + filepath.Join(s.dir, "data"),
		"OMNI_PORT=" + strconv.Itoa(s.port), "DATABASE_URL=" + s.databaseURL, "NATS_URL=" + s.natsURL,
		"TEMPORAL_ADDRESS=" + ground.stack.TemporalAddress, "TEMPORAL_NAMESPACE=" + s.namespace,
	}
}

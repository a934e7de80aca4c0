package chaos

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/e2e/hubtest"
	"github.com/omnihub/omni/internal/embedded/natsd"
	"github.com/omnihub/omni/internal/embedded/postgresd"
	"github.com/omnihub/omni/internal/embedded/temporald"
	"github.com/omnihub/omni/internal/testkit"
)

const apiKey = "chaos-bootstrap-key-0123456789"

// ground is what the hub stands on: each part a process of its own, to be
// killed alone.
type ground struct {
	t        *testing.T
	dir      string
	postgres *postgresd.Server // starts a child that died again by itself
	database string            // URL
	db       *pgxpool.Pool
	nats     *process
	temporal *process
	address  string // of Temporal
	env      []string
	port     int // of the hub
}

// What a part's process is told.
const (
	partDir      = "CHAOS_DIR"
	partPort     = "CHAOS_PORT"
	partDatabase = "CHAOS_DATABASE"
)

// runPart is the process of NATS or Temporal.
func runPart(name string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	port, err := strconv.Atoi(os.Getenv(partPort))
	if err != nil {
		return failed(name, err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var part interface {
		Start(ctx context.Context) error
		Stop(ctx context.Context) error
	}
	switch name {
	case "nats":
		part = natsd.New(natsd.Options{Dir: os.Getenv(partDir), Port: port, Log: log})
	case "temporal":
		part = temporald.New(temporald.Options{DatabaseURL: os.Getenv(partDatabase), Database: "temporal", Port: port, Log: log})
	default:
		return failed(name, fmt.Errorf("no such part"))
	}
	if err := part.Start(ctx); err != nil {
		return failed(name, err)
	}
	<-ctx.Done()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := part.Stop(limited); err != nil {
		return failed(name, err)
	}
	return 0
}

func failed(name string, err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	return 1
}

func newGround(t *testing.T) *ground {
	t.Helper()
	// Postgres runs as another user than root and must be able to reach it.
	dir, err := os.MkdirTemp("", "omni-chaos-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // as said above
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	g := &ground{t: t, dir: dir, port: testkit.FreePort(t)}
	g.startPostgres()
	g.startNATS()
	g.startTemporal()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	g.env = append(g.env, "OMNI_API_KEY="+apiKey, "OMNI_ALLOW_PRIVATE_NETWORKS=127.0.0.1", "OMNI_DATA_DIR="+filepath.Join(dir, "hub"),
		"OMNI_PORT="+strconv.Itoa(g.port), "OMNI_ENCRYPTION_KEY="+base64.StdEncoding.EncodeToString(key))
	return g
}

func (g *ground) startPostgres() {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.t.Context()), time.Minute)
	defer cancel()
	g.postgres = postgresd.New(postgresd.Options{Dir: filepath.Join(g.dir, "postgres"), Log: slog.New(slog.DiscardHandler)})
	require.NoError(g.t, g.postgres.Start(ctx))
	g.t.Cleanup(func() {
		limited, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		_ = g.postgres.Stop(limited)
	})
	require.NoError(g.t, g.postgres.EnsureDatabase(ctx, "omni"))
	var err error
	g.database, err = g.postgres.URL("omni")
	require.NoError(g.t, err)
	g.db, err = pgxpool.New(ctx, g.database)
	require.NoError(g.t, err)
	g.t.Cleanup(g.db.Close)
	g.env = append(g.env, "DATABASE_URL="+g.database)
}

func (g *ground) startNATS() {
	g.t.Helper()
	port := testkit.FreePort(g.t)
	g.nats = newProcess(g.t, g.dir, "nats", func() bool { return listens(port) }, partDir+"="+filepath.Join(g.dir, "jetstream"), partPort+"="+strconv.Itoa(port))
	g.nats.start()
	g.env = append(g.env, "NATS_URL=nats://127.0.0.1:"+strconv.Itoa(port))
}

func (g *ground) startTemporal() {
	g.t.Helper()
	port := testkit.FreePort(g.t)
	g.address = "127.0.0.1:" + strconv.Itoa(port)
	g.temporal = newProcess(g.t, g.dir, "temporal", func() bool { return listens(port) }, partDatabase+"="+g.database, partPort+"="+strconv.Itoa(port))
	g.temporal.start()
	g.env = append(g.env, "TEMPORAL_ADDRESS="+g.address)
}

func listens(port int) bool {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(port), time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func (g *ground) url(path string) string { return "http://127.0.0.1:" + strconv.Itoa(g.port) + path }

func (g *ground) api() hubtest.API { return hubtest.API{URL: g.url(""), Key: apiKey} }

// ready reports what /readyz says.
func (g *ground) ready() bool { return g.api().Ready() }

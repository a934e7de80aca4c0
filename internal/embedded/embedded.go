//go:build !slim

package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/embedded/natsd"
	"github.com/omnihub/omni/internal/embedded/postgresd"
	"github.com/omnihub/omni/internal/embedded/temporald"
	"github.com/omnihub/omni/internal/lifecycle"
)

const (
	databaseName = "omni"
	temporalName = "temporal"
	// Shares of the time that omni up may take to stop.
	temporalStop = 3 * time.Second
	natsStop     = 2 * time.Second
)

// Start starts every part that cfg does not say is external, and returns when
// all of them serve. The error is one line that names the variable, port, or
// folder at fault.
func Start(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Stack, error) {
	lock, err := lockDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	b := &builder{cfg: cfg, log: log, stack: &Stack{Took: map[string]time.Duration{}}}
	b.stack.stop = func(ctx context.Context) error { return errors.Join(b.stop(ctx), lock.Close()) }
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(err, b.stack.stop(context.WithoutCancel(ctx)))
	}
	return b.stack, nil
}

// builder starts the parts and remembers them.
type builder struct {
	cfg   *config.Config
	log   *slog.Logger
	stack *Stack

	mutex    sync.Mutex // guards stack while parts start side by side
	postgres *postgresd.Server
	nats     *natsd.Server
	temporal *temporald.Server
	ui       *temporald.UI
}

func (b *builder) start(ctx context.Context) error {
	if err := b.probePorts(ctx); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.startPostgres(groupCtx) })
	group.Go(func() error { return b.startNATS(groupCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	return b.startTemporal(ctx)
}

// probePorts finds ports that are taken before anything starts, and names the
// variable that would change them.
func (b *builder) probePorts(ctx context.Context) error {
	var listen net.ListenConfig
	wanted := []struct {
		variable string
		port     int
		used     bool
	}{
		{"OMNI_NATS_PORT", b.cfg.NATSPort, b.cfg.NATSURL == ""},
		{"OMNI_TEMPORAL_PORT", b.cfg.TemporalPort, b.cfg.TemporalAddress == ""},
		{"OMNI_TEMPORAL_UI_PORT", b.cfg.TemporalUIPort, b.cfg.TemporalAddress == ""},
	}
	for _, w := range wanted {
		if !w.used || w.port == 0 {
			continue
		}
		listener, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(w.port)))
		if err != nil {
			return fmt.Errorf("%s: port %d cannot be used: %w", w.variable, w.port, errors.Unwrap(err))
		}
		_ = listener.Close()
	}
	return nil
}

// timed starts a part and notes how long it took.
func (b *builder) timed(ctx context.Context, name string, part lifecycle.Service, checkFunc func(context.Context) error) error {
	began := time.Now()
	if err := part.Start(ctx); err != nil {
		return err
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.stack.Took[name] = time.Since(began)
	b.log.Debug("started", "part", name, "took_ms", b.stack.Took[name].Milliseconds())
	b.stack.checks = append(b.stack.checks, Check{Name: name, Check: checkFunc})
	return nil
}

func (b *builder) startPostgres(ctx context.Context) error {
	if b.cfg.DatabaseURL != "" {
		return b.stack.useDatabase(ctx, b.cfg)
	}
	server := postgresd.New(postgresd.Options{
		Dir: filepath.Join(b.cfg.DataDir, "postgres"), Log: b.log.With("part", "postgres"),
	})
	if err := b.timed(ctx, "postgres", server, server.Healthy); err != nil {
		return err
	}
	b.postgres = server
	if err := server.EnsureDatabase(ctx, databaseName); err != nil {
		return err
	}
	url, err := server.URL(databaseName)
	b.stack.DatabaseURL = url
	return err
}

func (b *builder) startNATS(ctx context.Context) error {
	if b.cfg.NATSURL != "" {
		return b.stack.useNATS(b.cfg)
	}
	server := natsd.New(natsd.Options{
		Dir: filepath.Join(b.cfg.DataDir, "nats"), Port: b.cfg.NATSPort, Log: b.log.With("part", "nats"),
	})
	if err := b.timed(ctx, "nats", server, server.Healthy); err != nil {
		return err
	}
	b.nats, b.stack.NATSURL, b.stack.connect = server, server.URL(), server.Connect
	return nil
}

func (b *builder) startTemporal(ctx context.Context) error {
	if b.cfg.TemporalAddress != "" {
		b.stack.TemporalAddress = b.cfg.TemporalAddress
		return nil
	}
	name, err := b.temporalDatabase()
	if err != nil {
		return err
	}
	server := temporald.New(temporald.Options{
		DatabaseURL: b.stack.DatabaseURL, Database: name, Port: b.cfg.TemporalPort,
		Log: b.log.With("part", "temporal"),
	})
	if err := b.timed(ctx, "temporal", server, server.Healthy); err != nil {
		return err
	}
	b.temporal, b.stack.TemporalAddress = server, server.Address()
	ui := temporald.NewUI(b.cfg.TemporalUIPort, b.cfg.TemporalNamespace, server.Address)
	if err := b.timed(ctx, "temporal-ui", ui, ui.Healthy); err != nil {
		return err
	}
	b.ui, b.stack.UIURL = ui, ui.URL()
	return nil
}

// temporalDatabase names Temporal's database: on a Postgres that is not ours
// it carries our database's name, as other hubs may use the same server.
func (b *builder) temporalDatabase() (string, error) {
	if b.cfg.DatabaseURL == "" {
		return temporalName, nil
	}
	parsed, err := pgx.ParseConfig(b.cfg.DatabaseURL)
	if err != nil {
		return "", fmt.Errorf("DATABASE_URL: %w", oneLine(err))
	}
	return parsed.Database + "_" + temporalName, nil
}

// untilDeadline leaves the limit to the context.
const untilDeadline = time.Hour

// stop ends the parts that run, those that depend on others first. Each has
// its share of the time, so that a stuck one does not keep Postgres from a
// clean end.
func (b *builder) stop(ctx context.Context) error {
	var errs []error
	if b.postgres != nil {
		// Written now, while others stop, Postgres's last checkpoint is short.
		var checkpoint sync.WaitGroup
		checkpoint.Go(func() { b.postgres.Checkpoint(ctx) })
		defer checkpoint.Wait()
	}
	end := func(name string, part lifecycle.Service, limit time.Duration) {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		if err := part.Stop(limited); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", name, err))
		}
		b.log.Debug("stopped", "part", name, "took_ms", time.Since(began).Milliseconds())
	}
	if b.ui != nil {
		end("temporal-ui", b.ui, time.Second)
	}
	if b.temporal != nil {
		end("temporal", b.temporal, temporalStop)
	}
	if b.nats != nil {
		end("nats", b.nats, natsStop)
	}
	if b.postgres != nil {
		end("postgres", b.postgres, untilDeadline)
	}
	return errors.Join(errs...)
}

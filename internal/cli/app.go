package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"go.temporal.io/sdk/client"

	"github.com/omnihub/omni/api"
	"github.com/omnihub/omni/internal/blob"
	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/durable"
	"github.com/omnihub/omni/internal/lifecycle"
	"github.com/omnihub/omni/internal/provider"
	"github.com/omnihub/omni/internal/safehttp"
	"github.com/omnihub/omni/internal/secret"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/telemetry"
	"github.com/omnihub/omni/workers"
)

const (
	// poolSize is how many connections to Postgres one process has: each plans
	// every statement for itself, so more than keep it busy only cost.
	poolSize    = 16
	instanceTTL = 5 * time.Second
)

// appConfig is what an app is made of: where the stack is, and which roles run.
type appConfig struct {
	cfg   *config.Config
	tel   *telemetry.Telemetry
	roles []workers.Role
	owner string // of leases; see workers.Deps

	databaseURL     string
	temporalAddress string
	temporalUI      string // base URL, "" where unknown
	connectNATS     func(options ...nats.Option) (*nats.Conn, error)
	checks          []control.Check // of embedded parts
	decorate        func(*workers.Deps)
	decorateControl func(*control.Deps)
}

// app is one process's share of the hub: connections, and the roles on them.
type app struct {
	appConfig

	log       *slog.Logger
	store     *store.Store
	instances *store.InstanceCache
	agents    *store.AgentCache
	nats      *nats.Conn
	bus       *bus.Bus
	temporal  client.Client
	engine    *durable.Engine
	guard     *safehttp.Guard
	http      *http.Client // guarded
	blobs     *blob.Files
	providers *provider.Registry
	group     lifecycle.Group
	closers   []func() // of connections, last opened first
}

// startApp opens the connections and starts the roles. On an error everything
// is closed again.
func startApp(ctx context.Context, c appConfig) (*app, error) {
	a := &app{appConfig: c, log: c.tel.Log}
	a.group.Log = a.log
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.stop(context.WithoutCancel(ctx)))
	}
	if err := a.addRoles(); err != nil {
		return nil, errors.Join(err, a.stop(context.WithoutCancel(ctx)))
	}
	if err := a.group.Start(ctx); err != nil {
		return nil, errors.Join(err, a.stop(context.WithoutCancel(ctx)))
	}
	return a, nil
}

func (a *app) open(ctx context.Context) error {
	for _, step := range []func(context.Context) error{a.openStore, a.openBus, a.openTemporal, a.openOutside} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) openStore(ctx context.Context) error {
	box, err := secret.New(a.cfg.EncryptionKey)
	if err != nil {
		return fmt.Errorf("OMNI_ENCRYPTION_KEY: %w", err)
	}
	if a.store, err = store.Open(ctx, a.databaseURL, poolSize); err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	a.store.UseSecrets(box)
	a.closers = append(a.closers, a.store.Close)
	return nil
}

func (a *app) openBus(ctx context.Context) error {
	conn, err := a.connectNATS(a.natsOptions()...)
	if err != nil {
		return fmt.Errorf("NATS_URL: %w", err)
	}
	a.nats = conn
	a.closers = append(a.closers, conn.Close)
	if a.bus, err = bus.Open(ctx, conn, a.log); err != nil {
		return fmt.Errorf("NATS_URL: %w", err)
	}
	a.instances, a.agents = store.NewInstanceCache(a.store, instanceTTL), store.NewAgentCache(a.store, instanceTTL)
	stop, err := a.bus.OnInstanceChanged(func(id uuid.UUID) {
		a.instances.Invalidate(id)
		a.agents.Invalidate(id)
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, stop)
	a.store.OnRerouted(func(ctx context.Context, id uuid.UUID) {
		if err := a.bus.Announce(ctx, id); err != nil {
			a.log.WarnContext(ctx, "announcing routes that are another person's now; the others notice within seconds", "instance_id", id, "error", err)
		}
	})
	return nil
}

// natsOptions never give up: NATS comes back, and until then /readyz says so.
func (a *app) natsOptions() []nats.Option {
	return []nats.Option{
		nats.Name("omni"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				a.log.Warn("NATS is away", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { a.log.Info("NATS is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			a.log.Warn("NATS reports an error", "subject", subject, "error", err)
		}),
	}
}

func (a *app) openTemporal(ctx context.Context) error {
	client, err := durable.Dial(ctx, durable.ClientConfig{
		Address: a.temporalAddress, Namespace: a.cfg.TemporalNamespace, Log: sdkLog(a.log),
		Tracer: a.tel.Tracer, Meter: a.tel.Meter,
	})
	if err != nil {
		return fmt.Errorf("TEMPORAL_ADDRESS: %w", err)
	}
	a.temporal, a.engine = client, durable.NewEngine(client)
	a.closers = append(a.closers, client.Close)
	return nil
}

// openOutside makes the ways to the world outside of the hub.
func (a *app) openOutside(context.Context) error {
	guard, err := safehttp.New(a.cfg.AllowPrivateNetworks)
	if err != nil {
		return fmt.Errorf("OMNI_ALLOW_PRIVATE_NETWORKS: %w", err)
	}
	a.guard, a.http = guard, guard.Client()
	a.blobs = blob.New(filepath.Join(a.cfg.DataDir, "media"))
	a.http.Transport = telemetry.Transport(a.http.Transport, a.tel.Tracer)
	a.closers = append(a.closers, a.http.CloseIdleConnections)
	a.providers = provider.New(provider.Deps{
		HTTP: a.http, Files: a.blobs, OpenAIAPIKey: a.cfg.OpenAIAPIKey, OpenAIBaseURL: a.cfg.OpenAIBaseURL,
		AnthropicAPIKey: a.cfg.AnthropicAPIKey, AnthropicBaseURL: a.cfg.AnthropicBaseURL,
	})
	return nil
}

// addRoles builds the services, in the order they start.
func (a *app) addRoles() error {
	deps := workers.Deps{
		Store: a.store, Instances: a.instances, Agents: a.agents, Bus: a.bus, Temporal: a.temporal, Engine: a.engine,
		HTTP: a.http, Blobs: a.blobs, CheckURL: a.guard.CheckURL, Providers: a.providers, Log: a.log, Metrics: a.tel.Metrics, Meter: a.tel.Meter, Tracer: a.tel.Tracer,
		Owner: a.owner, Process: uuid.NewString(), PublicURL: a.publicURL(), Latencies: &workers.Latencies{},
		AgentHere: slices.Contains(a.roles, workers.RoleAgent),
	}
	if a.decorate != nil {
		a.decorate(&deps)
	}
	a.group.Add("upkeep", newUpkeep(a.store, a.log))
	for _, role := range a.roles {
		if role == workers.RoleAPI {
			if err := a.addAPI(); err != nil {
				return err
			}
			continue
		}
		service, err := workers.Build(role, deps)
		if err != nil {
			return fmt.Errorf("building role %s: %w", role, err)
		}
		a.group.Add(string(role), service)
		if checked, ok := service.(interface{ Health(context.Context) error }); ok {
			a.checks = append(a.checks, control.Check{Name: string(role), Func: checked.Health})
		}
	}
	if !slices.Contains(a.roles, workers.RoleAPI) && a.cfg.HealthPort > 0 {
		a.group.Add("health", api.NewHealth(net.JoinHostPort(a.cfg.Host, strconv.Itoa(a.cfg.HealthPort)),
			control.NewHealth(a.health()), a.tel.MetricsHandler(), a.log))
	}
	return nil
}

// health is what must hold for a message accepted now to be processed.
func (a *app) health() []control.Check {
	return mergeChecks(append([]control.Check{
		{Name: "postgres", Func: a.store.Ping},
		{Name: "nats", Func: a.bus.Ping},
		{Name: "temporal", Func: a.engine.Healthy},
	}, a.checks...))
}

// mergeChecks makes one part of checks with the same name: up while all are.
func mergeChecks(checks []control.Check) []control.Check {
	var out []control.Check
	at := map[string]int{}
	for _, check := range checks {
		i, seen := at[check.Name]
		if !seen {
			at[check.Name] = len(out)
			out = append(out, check)
			continue
		}
		before, after := out[i].Func, check.Func
		out[i].Func = func(ctx context.Context) error {
			// The embedded part's own reason says more than a refused connection.
			if err := after(ctx); err != nil {
				return err
			}
			return before(ctx)
		}
	}
	return out
}

// stop ends the roles in reverse, then closes the connections.
func (a *app) stop(ctx context.Context) error {
	err := a.group.Stop(ctx)
	for _, closeFunc := range slices.Backward(a.closers) {
		closeFunc()
	}
	a.closers = nil
	return err
}

// publicURL is where the hub is reached from outside: what is configured, else
// the address that the API listens on.
func (a *app) publicURL() string {
	if a.cfg.PublicURL != "" {
		return a.cfg.PublicURL
	}
	return apiURL(a.cfg)
}

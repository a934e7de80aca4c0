package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/embedded"
	"github.com/omnihub/omni/internal/store"
	"github.com/omnihub/omni/internal/telemetry"
	"github.com/omnihub/omni/workers"
)

// HubOptions change how StartHub builds a hub. The zero value changes nothing.
type HubOptions struct {
	// Decorate may put something between the roles and what they are handed:
	// tests count, delay and break things there.
	Decorate func(*workers.Deps)
	// Control may do the same to what the API's use cases are handed.
	Control func(*control.Deps)
}

// Hub is omni up, running: the embedded parts of the stack, and all roles.
type Hub struct {
	cfg    *config.Config
	tel    *telemetry.Telemetry
	stack  *embedded.Stack
	app    *app
	newKey bool
}

// StartHub starts the embedded parts of the stack and all roles on them, and
// returns when they serve. Port 0 in cfg becomes the port that was found.
func StartHub(ctx context.Context, cfg *config.Config, tel *telemetry.Telemetry, opts HubOptions) (*Hub, error) {
	if err := probeAPIPort(ctx, cfg); err != nil {
		return nil, err
	}
	stack, err := embedded.Start(ctx, cfg, tel.Log)
	if err != nil {
		return nil, err
	}
	h := &Hub{cfg: cfg, tel: tel, stack: stack}
	if err := h.startRoles(ctx, opts); err != nil {
		return nil, errors.Join(err, h.stopStack(ctx))
	}
	return h, nil
}

func (h *Hub) startRoles(ctx context.Context, opts HubOptions) error {
	id, newKey, err := hubSecrets(h.cfg)
	if err != nil {
		return err
	}
	h.newKey = newKey
	if _, err := store.Migrate(ctx, h.stack.DatabaseURL); err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	if err := prepareTemporal(ctx, h.cfg, h.tel, h.stack); err != nil {
		return err
	}
	checks := make([]control.Check, 0, len(h.stack.Checks()))
	for _, check := range h.stack.Checks() {
		checks = append(checks, control.Check{Name: check.Name, Func: check.Check})
	}
	h.app, err = startApp(ctx, appConfig{
		cfg: h.cfg, tel: h.tel, roles: workers.Roles(), owner: id, checks: checks,
		databaseURL: h.stack.DatabaseURL, temporalAddress: h.stack.TemporalAddress, temporalUI: h.stack.UIURL,
		connectNATS: h.stack.ConnectNATS, decorate: opts.Decorate, decorateControl: opts.Control,
	})
	return err
}

// Stop ends the roles, then the stack, within the 15 s that stopping may take.
// Nothing is lost by what does not end in time: it is cut off, and goes on
// after the next start. So that is told, but is no failure.
func (h *Hub) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	limited, cancelApp := context.WithTimeout(ctx, appStop)
	defer cancelApp()
	if err := h.app.stop(limited); err != nil {
		h.tel.Log.Warn("not every role stopped in time", "error", err)
	}
	if err := h.stack.Stop(ctx); err != nil {
		h.tel.Log.Warn("not every part stopped in time", "error", err)
	}
	return nil
}

// stopStack ends the stack of a hub that did not come up.
func (h *Hub) stopStack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return h.stack.Stop(ctx)
}

package cli

import (
	"fmt"

	"github.com/omnihub/omni/api"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/workers"
	"github.com/omnihub/omni/workers/gateway"
)

// addAPI builds the front door. It comes last, so that what is accepted has
// somebody to work on it.
func (a *app) addAPI() error {
	hooks, err := gateway.NewHooks(gateway.HooksDeps{
		Instances: a.instances, Store: a.store, Bus: a.bus, HTTP: a.http, PublicURL: a.publicURL(), CheckURL: a.guard.CheckURL,
		Log: a.log, Metrics: a.tel.Metrics, Meter: a.tel.Meter, Tracer: a.tel.Tracer,
	})
	if err != nil {
		return fmt.Errorf("building role %s: %w", workers.RoleAPI, err)
	}
	release, _ := buildVersion()
	service, err := api.New(api.Deps{
		Addr: listenAddress(a.cfg), Version: release, Control: a.control(), Hooks: hooks,
		Events: a.store, Signal: a.logSignal, Tokens: a.bus.OnAgentStream, Log: a.log,
		Tracer: a.tel.Tracer, Meter: a.tel.Meter, Metrics: a.tel.MetricsHandler(),
		TrustedProxies: a.cfg.Proxies(),
	})
	if err != nil {
		return fmt.Errorf("building role %s: %w", workers.RoleAPI, err)
	}
	a.group.Add(string(workers.RoleAPI), service)
	return nil
}

func (a *app) control() *control.Control {
	deps := control.Deps{
		Store: a.store, Engine: a.engine, Workflows: a.engine, Announcer: a.bus, Inbound: a.bus, Presence: a.bus, Waker: a.engine, Log: a.log,
		Blobs:     a.blobs,
		UI:        control.TemporalUI{URL: a.temporalUI, Namespace: a.cfg.TemporalNamespace},
		PublicURL: a.publicURL(), CheckURL: a.guard.CheckURL, CheckHost: a.guard.CheckHost,
		Agents: a.providers, Providers: a.knownProviders(), Spent: workers.Spent(a.tel.Metrics),
		APIKey: a.cfg.APIKey, Checks: a.health(),
	}
	if a.decorateControl != nil {
		a.decorateControl(&deps)
	}
	return control.New(deps)
}

// logSignal wakes readers of the live log whenever the relay published.
func (a *app) logSignal(fn func()) (stop func(), err error) {
	return a.bus.OnLog(fn)
}

// knownProviders are the agents of the contract that this binary can ask.
func (a *app) knownProviders() []string {
	var known []string
	for _, name := range []string{"echo", "openai", "anthropic", "agno", "webhook", "custom", "a2a"} {
		if a.providers.Has(name) {
			known = append(known, name)
		}
	}
	return known
}

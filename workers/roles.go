package workers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/omnihub/omni/internal/lifecycle"
	"github.com/omnihub/omni/workers/gateway"
	"github.com/omnihub/omni/workers/relay"
)

// Role is one kind of work a process may do.
type Role string

// The roles.
const (
	RoleAPI      Role = "api" // built by the command line, which knows the front door
	RoleGateway  Role = "gateway"
	RoleIngest   Role = "ingest"
	RolePipeline Role = "pipeline"
	RoleMedia    Role = "media"
	RoleAgent    Role = "agent"
	RoleDelivery Role = "delivery"
	RoleRelay    Role = "relay"
)

// Roles lists every role in the order they start.
func Roles() []Role {
	return []Role{RoleRelay, RoleDelivery, RoleAgent, RoleMedia, RolePipeline, RoleIngest, RoleGateway, RoleAPI}
}

// ParseRoles reads a comma list, such as --roles takes. The roles come back in
// starting order.
func ParseRoles(list string) ([]Role, error) {
	var names, wanted []Role
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, Role(name))
		}
	}
	for _, name := range names {
		if !slices.Contains(Roles(), name) {
			return nil, fmt.Errorf("--roles: %q is no role: use a comma list of api, gateway, ingest, pipeline, media, agent, delivery, relay", name)
		}
	}
	for _, r := range Roles() {
		if slices.Contains(names, r) {
			wanted = append(wanted, r)
		}
	}
	if len(wanted) == 0 {
		return nil, fmt.Errorf("--roles names no role")
	}
	return wanted, nil
}

// Build makes the service of a role.
func Build(role Role, d Deps) (lifecycle.Service, error) {
	switch role {
	case RoleGateway:
		return gateway.New(gateway.Deps{Store: d.Store, Bus: d.Bus, Owner: d.Owner, HTTP: d.HTTP, PublicURL: d.PublicURL,
			Log: d.Log, Metrics: d.Metrics, Meter: d.Meter, Tracer: d.Tracer})
	case RoleIngest:
		return newIngest(d), nil
	case RolePipeline:
		return newPipeline(d)
	case RoleAgent:
		return agentWorker(d), nil
	case RoleDelivery:
		return deliveryWorker(d), nil
	case RoleRelay:
		return relay.New(relay.Deps{Store: d.Store, Bus: d.Bus, Log: d.Log, Metrics: d.Metrics}), nil
	case RoleMedia:
		return mediaWorker(d), nil
	default:
		return nil, fmt.Errorf("role %q is not built here", role)
	}
}

// pipelineRole runs the workflows, and what they need around them.
type pipelineRole struct {
	lifecycle.Group

	worker *temporalWorker
}

func newPipeline(d Deps) (*pipelineRole, error) {
	worker, err := pipelineWorker(d)
	if err != nil {
		return nil, err
	}
	r := &pipelineRole{worker: worker}
	r.Log = d.Log
	r.Add("worker", worker)
	r.Add("wait-ender", &waitEnder{cancels: d.Bus, store: d.Store, engine: d.Engine, log: d.Log})
	r.Add("janitor", lifecycle.Func{StartFunc: d.Engine.EnsureJanitor})
	return r, nil
}

// Health reports whether the workflows of this process go on.
func (r *pipelineRole) Health(ctx context.Context) error { return r.worker.Health(ctx) }

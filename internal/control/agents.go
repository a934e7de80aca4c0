package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// AgentStore is what the agents' use cases need of the store. PatchAgent holds
// the row while change runs.
type AgentStore interface {
	CreateAgent(ctx context.Context, a omni.Agent) (*omni.Agent, error)
	Agent(ctx context.Context, id uuid.UUID) (*omni.Agent, error)
	ListAgents(ctx context.Context, tenant string, p omni.Page) ([]omni.Agent, error)
	PatchAgent(ctx context.Context, tenant string, id uuid.UUID, change func(*omni.Agent) error) (*omni.Agent, error)
	// DeleteAgent refuses with *omni.AgentInUse.
	DeleteAgent(ctx context.Context, tenant string, id uuid.UUID) error
	AgentHealth(ctx context.Context, agents []uuid.UUID) (map[uuid.UUID]omni.AgentHealth, error)
}

// AgentCaller asks agents. Errors are *omni.AgentError, or the context's own.
type AgentCaller interface {
	Reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error)
}

// Agents are the use cases around agents that instances and routes name. Safe
// for concurrent use.
type Agents struct {
	store     AgentStore
	caller    AgentCaller
	announce  Announcer
	log       *slog.Logger
	providers []string
	checkURL  func(rawURL string) error
	checkHost func(ctx context.Context, rawURL string) error // looks names up; nil: they are not
	testing   chan struct{}                                  // a place for each test call under way
}

// NamedAgentInput is what may be said of an agent. In a creation, fields left
// out take their defaults; in a change they stay as they are, and null puts a
// field back to its default.
type NamedAgentInput struct {
	Name string `json:"name" doc:"for people" maxLength:"200"`
	omni.AgentConfig
	APIKey string `json:"apiKey" doc:"secret: write-only, reads as •••"`
}

// Agent is an agent as it is shown: without its key.
type Agent struct {
	ID   uuid.UUID `json:"id" format:"uuid" required:"true"`
	Name string    `json:"name" required:"true"`
	omni.AgentConfig
	APIKey    string           `json:"apiKey" doc:"••• where one is set"`
	Health    omni.AgentHealth `json:"health"`
	Version   int64            `json:"version" doc:"grows with every change"`
	CreatedAt time.Time        `json:"createdAt" required:"true"`
	UpdatedAt time.Time        `json:"updatedAt"`
}

// Create makes an agent of what the request says (NamedAgentInput as JSON).
func (s *Agents) Create(ctx context.Context, who *omni.APIKey, body json.RawMessage) (*Agent, error) {
	if err := mayUseAgents(who); err != nil {
		return nil, err
	}
	a := omni.Agent{ID: uuid.Must(uuid.NewV7()), TenantID: who.TenantID, Config: omni.DefaultAgent()}
	if err := s.apply(who, &a, body); err != nil {
		return nil, err
	}
	if err := lookUpHosts(ctx, s.checkHost, urlsOfAgent(body)); err != nil {
		return nil, err
	}
	created, err := s.store.CreateAgent(ctx, a)
	if err != nil {
		return nil, err
	}
	return showAgent(created, nil), nil
}

// Get reads one agent.
func (s *Agents) Get(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*Agent, error) {
	if err := mayUseAgents(who); err != nil {
		return nil, err
	}
	a, err := visibleAgent(ctx, s.store, who, id)
	if err != nil {
		return nil, err
	}
	health, err := s.store.AgentHealth(ctx, []uuid.UUID{id})
	if err != nil {
		return nil, err
	}
	return showAgent(a, health), nil
}

// List reads a page of agents.
func (s *Agents) List(ctx context.Context, who *omni.APIKey, p Paging) (*List[Agent], error) {
	if err := mayUseAgents(who); err != nil {
		return nil, err
	}
	page, err := p.page()
	if err != nil {
		return nil, err
	}
	rows, err := s.store.ListAgents(ctx, who.TenantID, page)
	if err != nil {
		return nil, err
	}
	ids := make([]uuid.UUID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	health, err := s.store.AgentHealth(ctx, ids)
	if err != nil {
		return nil, err
	}
	shown := make([]Agent, len(rows))
	for i := range rows {
		shown[i] = *showAgent(&rows[i], health)
	}
	return listOf(p, shown, func(a *Agent) (time.Time, uuid.UUID) { return a.CreatedAt, a.ID }), nil
}

// Patch merges a change into an agent (JSON merge patch); it holds for the
// next turn.
func (s *Agents) Patch(ctx context.Context, who *omni.APIKey, id uuid.UUID, body json.RawMessage) (*Agent, error) {
	if err := mayUseAgents(who); err != nil {
		return nil, err
	}
	if _, err := visibleAgent(ctx, s.store, who, id); err != nil {
		return nil, err
	}
	if err := lookUpHosts(ctx, s.checkHost, urlsOfAgent(body)); err != nil { // not while the row is held
		return nil, err
	}
	a, err := s.store.PatchAgent(ctx, who.TenantID, id, func(a *omni.Agent) error { return s.apply(who, a, body) })
	if err != nil {
		return nil, orNotFound(err, "agent")
	}
	announceChange(ctx, s.announce, s.log, id)
	health, err := s.store.AgentHealth(ctx, []uuid.UUID{id})
	if err != nil {
		return nil, err
	}
	return showAgent(a, health), nil
}

// Delete hides an agent that nobody names any more.
func (s *Agents) Delete(ctx context.Context, who *omni.APIKey, id uuid.UUID) error {
	if err := mayUseAgents(who); err != nil {
		return err
	}
	err := s.store.DeleteAgent(ctx, who.TenantID, id)
	if used, ok := errors.AsType[*omni.AgentInUse](err); ok {
		return &Error{Kind: KindConflict, Code: CodeAgentInUse,
			Detail: fmt.Sprintf("the agent is named by %d routes and %d instances: take it out there first", used.Routes, used.Instances)}
	}
	if err != nil {
		return orNotFound(err, "agent")
	}
	announceChange(ctx, s.announce, s.log, id)
	return nil
}

// mayUseAgents: agents are there for all instances of a tenant, and so is what
// they say of them.
func mayUseAgents(who *omni.APIKey) error {
	if who.InstanceIDs != nil {
		return &Error{Kind: KindForbidden, Code: CodeForbidden, Detail: "this key is restricted to some instances, and agents are for all"}
	}
	return nil
}

// apply merges a request into an agent (RFC 7396) and validates the result.
func (s *Agents) apply(who *omni.APIKey, a *omni.Agent, patch json.RawMessage) error {
	before := *a
	base, err := toMap(NamedAgentInput{Name: a.Name, AgentConfig: a.Config, APIKey: a.APIKey})
	if err != nil {
		return err
	}
	change, err := readObject(patch)
	if err != nil {
		return err
	}
	if change["apiKey"] == omni.SecretMask {
		delete(change, "apiKey")
	}
	merged, err := json.Marshal(mergePatch(base, change))
	if err != nil {
		return fmt.Errorf("encoding an agent: %w", err)
	}
	doc := NamedAgentInput{AgentConfig: omni.DefaultAgent()}
	if err := strictly(merged, &doc, "an agent"); err != nil {
		return err
	}
	a.Name, a.Config, a.APIKey = doc.Name, doc.AgentConfig, doc.APIKey
	var c checks
	c.name(a.Name)
	c.agentAt("", &a.Config, s.providers)
	c.outgoing("apiUrl", a.Config.APIURL, s.checkURL)
	_, given := change["apiKey"]
	if !who.Allows(omni.ScopeAdmin) {
		c.move(secretMove{secret: "apiKey", destination: "apiUrl or provider", stored: before.APIKey != "", given: given,
			from: agentDestination(&before.Config), to: agentDestination(&a.Config)})
	}
	return c.err()
}

// visibleAgent reads an agent if it is the caller's tenant's.
func visibleAgent(ctx context.Context, from interface {
	Agent(ctx context.Context, id uuid.UUID) (*omni.Agent, error)
}, who *omni.APIKey, id uuid.UUID) (*omni.Agent, error) {
	a, err := from.Agent(ctx, id)
	if err != nil {
		return nil, orNotFound(err, "agent")
	}
	if a.TenantID != who.TenantID {
		return nil, notFound("agent")
	}
	return a, nil
}

func showAgent(a *omni.Agent, health map[uuid.UUID]omni.AgentHealth) *Agent {
	out := &Agent{ID: a.ID, Name: a.Name, AgentConfig: a.Config, Version: a.Version, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt}
	if a.APIKey != "" {
		out.APIKey = omni.SecretMask
	}
	var known bool
	if out.Health, known = health[a.ID]; !known {
		out.Health = omni.HealthOf(nil)
	}
	return out
}

func announceChange(ctx context.Context, announce Announcer, log *slog.Logger, id uuid.UUID) {
	if announce == nil {
		return
	}
	if err := announce.Announce(ctx, id); err != nil {
		log.WarnContext(ctx, "announcing a change; the others notice within seconds", "id", id, "error", err)
	}
}

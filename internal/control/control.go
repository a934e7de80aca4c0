package control

import (
	"context"
	"log/slog"
)

// Store is everything that the use cases need of the store.
type Store interface {
	InstanceStore
	AgentStore
	RouteStore
	MessageStore
	MediaStore
	ChatStore
	PersonStore
	PersonGraphStore
	EventStore
	KeyStore
	DeadLetterStore
	TurnStore
	TenantStore
	AuditStore
	AccessStore
}

// Deps is what the use cases are handed.
type Deps struct {
	Store     Store
	Engine    Engine
	Workflows Describer      // nil: traces name workflows without their runs
	Announcer Announcer      // nil: nobody else caches instances
	Inbound   Republisher    // nil: poison cannot be retried
	Presence  PresenceReader // nil: nobody knows who is there
	Waker     Waker          // nil: what waits finds out by itself
	Log       *slog.Logger
	UI        TemporalUI
	PublicURL string // OMNI_PUBLIC_URL
	Blobs     Blobs  // nil: no attachments are kept here
	// CheckURL refuses addresses that outgoing calls may not reach; nil: none.
	CheckURL func(rawURL string) error
	// CheckHost does that for the addresses that a name stands for now; nil:
	// names are only checked when they are called.
	CheckHost func(ctx context.Context, rawURL string) error
	Agents    AgentCaller // nil: agents cannot be tried
	Spent     Spending    // nil: nobody counts what later answers took
	Providers []string    // agents that this version can ask; empty: all of the contract
	APIKey    string      // OMNI_API_KEY, scope admin; "" for none
	Checks    []Check     // of the parts, for readiness
}

// Control is all use cases.
type Control struct {
	Instances   *Instances
	Agents      *Agents
	Routes      *Routes
	Messages    *Messages
	Media       *Media
	Chats       *Chats
	Turns       *Turns
	Persons     *Persons
	PersonGraph *PersonGraph
	Events      *Events
	Keys        *Keys
	Tenants     *Tenants
	Audit       *KeyAudit
	DeadLetters *DeadLetters
	Access      *Access
	Auth        *Authenticator
	Health      *Health
}

// New wires the use cases.
func New(d Deps) *Control {
	messages := &Messages{store: d.Store, engine: d.Engine, workflows: d.Workflows, ui: d.UI, log: d.Log,
		waiting: make(chan struct{}, maxWaiting)}
	auth := newAuthenticator(d.Store, d.APIKey, d.Log)
	return &Control{
		Instances: &Instances{
			store: d.Store, announce: d.Announcer, log: d.Log, publicURL: d.PublicURL,
			checkURL: d.CheckURL, checkHost: d.CheckHost, providers: d.Providers,
		},
		Agents: &Agents{store: d.Store, caller: d.Agents, announce: d.Announcer, log: d.Log, providers: d.Providers,
			checkURL: d.CheckURL, checkHost: d.CheckHost, testing: make(chan struct{}, maxTestCalls)},
		Routes:      &Routes{store: d.Store, announce: d.Announcer, log: d.Log},
		Messages:    messages,
		Media:       &Media{store: d.Store, blobs: d.Blobs},
		Chats:       &Chats{store: d.Store, messages: messages, announce: d.Announcer, log: d.Log},
		Turns:       &Turns{store: d.Store, instances: d.Store, waker: d.Waker, checkURL: d.CheckURL, spent: d.Spent, log: d.Log},
		Persons:     &Persons{store: d.Store, live: d.Presence, log: d.Log},
		PersonGraph: &PersonGraph{store: d.Store, announce: d.Announcer, log: d.Log},
		Events:      &Events{store: d.Store},
		Keys:        &Keys{store: d.Store, auth: auth},
		Tenants:     &Tenants{store: d.Store},
		Audit:       newKeyAudit(d.Store, d.Log),
		DeadLetters: &DeadLetters{store: d.Store, engine: d.Engine, inbound: d.Inbound, log: d.Log},
		Access:      &Access{store: d.Store},
		Auth:        auth,
		Health:      NewHealth(d.Checks),
	}
}

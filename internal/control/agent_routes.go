package control

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// RouteStore is what the routes' use cases need of the store.
type RouteStore interface {
	Instance(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
	Agent(ctx context.Context, id uuid.UUID) (*omni.Agent, error)
	Chat(ctx context.Context, tenant string, id uuid.UUID) (*omni.Chat, error)
	Person(ctx context.Context, tenant string, id uuid.UUID) (*omni.Person, error)
	InstanceRoutes(ctx context.Context, instance uuid.UUID) ([]omni.AgentRoute, error)
	CreateRoute(ctx context.Context, tenant string, r omni.AgentRoute, limit int) (*omni.AgentRoute, error)
	DeleteRoutes(ctx context.Context, tenant string, instance uuid.UUID, f omni.RouteFilter) (int, error)
}

// Routes are the use cases around routes: which agent answers which chats of
// an instance. Safe for concurrent use.
type Routes struct {
	store    RouteStore
	announce Announcer
	log      *slog.Logger
}

// maxRoutes bounds the routes of one instance: they are kept in memory.
const maxRoutes = 5000

// RouteRequest asks for a route, by exactly one of chatId, personId and
// chatType.
type RouteRequest struct {
	AgentID  uuid.UUID        `json:"agentId" required:"true" format:"uuid"`
	ChatID   *uuid.UUID       `json:"chatId,omitempty" format:"uuid"`
	PersonID *uuid.UUID       `json:"personId,omitempty" format:"uuid"`
	ChatType message.ChatType `json:"chatType,omitempty" enum:"dm,group" doc:"all chats of that type"`
	Priority int              `json:"priority,omitempty" minimum:"-1000000" maximum:"1000000" doc:"among routes by the same: the higher one, then the newer"`
}

// List reads the routes of an instance, in the order in which they are looked
// at.
func (s *Routes) List(ctx context.Context, who *omni.APIKey, instance uuid.UUID) (*[]omni.AgentRoute, error) {
	if _, err := visibleInstance(ctx, s.store, who, instance); err != nil {
		return nil, err
	}
	routes, err := s.store.InstanceRoutes(ctx, instance)
	return &routes, err
}

// Create makes a route; it holds for the next turn.
func (s *Routes) Create(ctx context.Context, who *omni.APIKey, instance uuid.UUID, req RouteRequest) (*omni.AgentRoute, error) {
	if _, err := visibleInstance(ctx, s.store, who, instance); err != nil {
		return nil, err
	}
	r := omni.AgentRoute{ID: uuid.Must(uuid.NewV7()), InstanceID: instance, AgentID: req.AgentID, ChatID: req.ChatID, PersonID: req.PersonID,
		ChatType: req.ChatType, Priority: req.Priority}
	if err := s.check(ctx, who, &r); err != nil {
		return nil, err
	}
	made, err := s.store.CreateRoute(ctx, who.TenantID, r, maxRoutes)
	switch {
	case errors.Is(err, omni.ErrTooManyRoutes):
		return nil, &Error{Kind: KindConflict, Code: CodeTooManyRoutes, Detail: "the instance has as many routes as it may have"}
	case errors.Is(err, omni.ErrNotFound): // deleted just now
		return nil, invalid("agentId", "no such agent")
	case err != nil:
		return nil, err
	}
	announceChange(ctx, s.announce, s.log, instance)
	return made, nil
}

// check refuses a route by nothing, by two things, or by what is not there.
func (s *Routes) check(ctx context.Context, who *omni.APIKey, r *omni.AgentRoute) error {
	var c checks
	n := 0
	for _, set := range []bool{r.ChatID != nil, r.PersonID != nil, r.ChatType != ""} {
		if set {
			n++
		}
	}
	if n != 1 {
		c.add("chatId", "exactly one of chatId, personId and chatType says whom the route is for")
	}
	if r.ChatType != "" && r.ChatType != message.ChatDM && r.ChatType != message.ChatGroup {
		c.add("chatType", "must be one of: dm, group")
	}
	if _, err := visibleAgent(ctx, s.store, who, r.AgentID); err != nil {
		if !isNotFound(err) {
			return err
		}
		c.add("agentId", "no such agent")
	}
	if err := s.checkSubject(ctx, who, r, &c); err != nil {
		return err
	}
	return c.err()
}

func (s *Routes) checkSubject(ctx context.Context, who *omni.APIKey, r *omni.AgentRoute, c *checks) error {
	if r.ChatID != nil {
		chat, err := s.store.Chat(ctx, who.TenantID, *r.ChatID)
		switch {
		case errors.Is(err, omni.ErrNotFound) || err == nil && chat.InstanceID != r.InstanceID:
			c.add("chatId", "no such chat of this instance")
		case err != nil:
			return err
		}
	}
	if r.PersonID != nil {
		person, err := s.store.Person(ctx, who.TenantID, *r.PersonID)
		switch {
		case errors.Is(err, omni.ErrNotFound) || err == nil && !seesPerson(who, person):
			c.add("personId", "no such person")
		case err != nil:
			return err
		}
	}
	return nil
}

// Delete deletes the routes of an instance that f fits; one at least.
func (s *Routes) Delete(ctx context.Context, who *omni.APIKey, instance uuid.UUID, f omni.RouteFilter) error {
	if _, err := visibleInstance(ctx, s.store, who, instance); err != nil {
		return err
	}
	if f == (omni.RouteFilter{}) {
		return invalid("routeId", "one of routeId, chatId, personId and chatType says which routes to delete")
	}
	n, err := s.store.DeleteRoutes(ctx, who.TenantID, instance, f)
	if err != nil {
		return err
	}
	if n == 0 {
		return notFound("route")
	}
	announceChange(ctx, s.announce, s.log, instance)
	return nil
}

// RouteExplanation says who would answer, and why.
type RouteExplanation struct {
	Agent      string            `json:"agent" doc:"instance, an agent's id, or empty where nobody answers" required:"true"`
	AgentID    *uuid.UUID        `json:"agentId" format:"uuid"`
	Name       string            `json:"name,omitempty"`
	RouteID    *uuid.UUID        `json:"routeId" format:"uuid"`
	Reason     string            `json:"reason" required:"true"`
	Considered []ConsideredRoute `json:"considered" required:"true" nullable:"false" doc:"every route, in the order in which they are looked at"`
}

// ConsideredRoute is one route that was looked at.
type ConsideredRoute struct {
	omni.AgentRoute
	By      string `json:"by" enum:"chat,person,chatType"`
	Matches bool   `json:"matches"`
	Chosen  bool   `json:"chosen"`
}

// Explain says who answers a person in a chat of the instance, as the next
// turn would decide. What is left out matches no route; of a chat that is known
// its type and, in a dm, its person are.
func (s *Routes) Explain(ctx context.Context, who *omni.APIKey, instance uuid.UUID, subject omni.RouteSubject) (*RouteExplanation, error) {
	in, err := visibleInstance(ctx, s.store, who, instance)
	if err != nil {
		return nil, err
	}
	if subject.ChatID != uuid.Nil {
		chat, err := s.store.Chat(ctx, who.TenantID, subject.ChatID)
		if err != nil || chat.InstanceID != instance {
			return nil, invalidOr(err, "chatId", "no such chat of this instance")
		}
		subject.ChatType = chat.Type
		if subject.PersonID == uuid.Nil && chat.PersonID != nil {
			subject.PersonID = *chat.PersonID
		}
	}
	choice := omni.ChooseAgent(in, subject)
	out := &RouteExplanation{Agent: choice.Key, Reason: choice.Reason, Considered: make([]ConsideredRoute, len(in.Routes))}
	for i, r := range in.Routes {
		out.Considered[i] = ConsideredRoute{AgentRoute: r, By: r.By(), Matches: r.Matches(subject),
			Chosen: choice.Route != nil && choice.Route.ID == r.ID}
	}
	if choice.Route != nil {
		out.RouteID = &choice.Route.ID
	}
	if id, ok := choice.ID(); ok {
		out.AgentID = &id
		a, err := visibleAgent(ctx, s.store, who, id)
		switch {
		case err == nil:
			out.Name = a.Name
		case isNotFound(err):
			out.Reason += "; the agent is gone"
		default:
			return nil, err
		}
	}
	return out, nil
}

func isNotFound(err error) bool {
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Kind == KindNotFound
}

// invalidOr refuses a field that names nothing; any other failure stays.
func invalidOr(err error, field, message string) error {
	if err != nil && !errors.Is(err, omni.ErrNotFound) {
		return err
	}
	return invalid(field, message)
}

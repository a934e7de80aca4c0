package omni

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// AgentRoute gives a chat, a person, or all chats of a type of an instance an
// agent. Exactly one of ChatID, PersonID and ChatType is set.
type AgentRoute struct {
	ID         uuid.UUID        `json:"id" format:"uuid" required:"true"`
	InstanceID uuid.UUID        `json:"instanceId" format:"uuid" required:"true"`
	AgentID    uuid.UUID        `json:"agentId" format:"uuid" required:"true"`
	ChatID     *uuid.UUID       `json:"chatId,omitempty" format:"uuid"`
	PersonID   *uuid.UUID       `json:"personId,omitempty" format:"uuid"`
	ChatType   message.ChatType `json:"chatType,omitempty" enum:"dm,group"`
	Priority   int              `json:"priority"`
	CreatedAt  time.Time        `json:"createdAt"`
}

// RouteSubject is whom an agent is looked for: who writes in which chat. What
// is not known is left zero, and no route matches by it.
type RouteSubject struct {
	ChatID   uuid.UUID
	PersonID uuid.UUID
	ChatType message.ChatType
}

// By names what a route goes by: chat, person or chatType.
func (r *AgentRoute) By() string {
	switch {
	case r.ChatID != nil:
		return "chat"
	case r.PersonID != nil:
		return "person"
	default:
		return "chatType"
	}
}

// Matches reports whether the route is for that subject.
func (r *AgentRoute) Matches(s RouteSubject) bool {
	switch {
	case r.ChatID != nil:
		return *r.ChatID == s.ChatID && s.ChatID != uuid.Nil
	case r.PersonID != nil:
		return *r.PersonID == s.PersonID && s.PersonID != uuid.Nil
	default:
		return r.ChatType == chatType(s.ChatType)
	}
}

// chatType of a chat that its channel says nothing of is that of a dm.
func chatType(t message.ChatType) message.ChatType {
	if t == "" {
		return message.ChatDM
	}
	return t
}

// SortRoutes puts routes in the order in which they are looked at: by chat,
// then by person, then by type of chat; of the same kind the higher priority,
// then the newer one.
func SortRoutes(routes []AgentRoute) {
	rank := map[string]int{"chat": 0, "person": 1, "chatType": 2}
	slices.SortStableFunc(routes, func(a, b AgentRoute) int {
		return cmp.Or(cmp.Compare(rank[a.By()], rank[b.By()]), cmp.Compare(b.Priority, a.Priority),
			b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID.String(), a.ID.String()))
	})
}

// AgentChoice is who answers, and why.
type AgentChoice struct {
	Key    string      // as a turn names it; "" where nobody answers
	Route  *AgentRoute // that decided; nil: the instance's default
	Reason string
}

// ID is the chosen agent's, where it is one by itself.
func (c AgentChoice) ID() (uuid.UUID, bool) {
	id, err := uuid.Parse(c.Key)
	return id, err == nil
}

// ChooseAgent says who answers a subject: the first of the instance's routes
// (sorted) that matches, else the agent that the instance names, else its own.
func ChooseAgent(in *Instance, s RouteSubject) AgentChoice {
	for i := range in.Routes {
		if r := &in.Routes[i]; r.Matches(s) {
			return AgentChoice{Key: r.AgentID.String(), Route: r, Reason: "a route by " + r.By()}
		}
	}
	switch {
	case in.Settings.AgentID != nil:
		return AgentChoice{Key: in.Settings.AgentID.String(), Reason: "the instance's agentId"}
	case in.Settings.Agent != nil:
		return AgentChoice{Key: InstanceAgent, Reason: "the instance's own agent"}
	default:
		return AgentChoice{Reason: string(RefusedNoAgent)}
	}
}

// RouteFilter selects routes of an instance; nil and "" select nothing.
type RouteFilter struct {
	ID       *uuid.UUID
	ChatID   *uuid.UUID
	PersonID *uuid.UUID
	ChatType message.ChatType
}

// ErrTooManyRoutes says that an instance has as many routes as it may.
var ErrTooManyRoutes = errors.New("the instance has as many routes as it may have")

// AgentInUse says who still needs an agent that was to be deleted.
type AgentInUse struct{ Routes, Instances int }

func (e *AgentInUse) Error() string {
	return fmt.Sprintf("the agent is named by %d routes and %d instances", e.Routes, e.Instances)
}

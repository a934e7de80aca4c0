package omni

import (
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrGraphBusy says that a change of persons found them in use for too long;
// nothing was changed.
var ErrGraphBusy = errors.New("these persons are in use; try again")

// Merge is one change of who is who, made by people or by evidence. It can be
// undone.
type Merge struct {
	ID             uuid.UUID       `json:"id" format:"uuid" required:"true"`
	Kind           string          `json:"kind" enum:"merge,link,unlink"`
	PersonID       uuid.UUID       `json:"personId" format:"uuid" doc:"whose the accounts became"`
	SourcePersonID uuid.UUID       `json:"sourcePersonId" format:"uuid" doc:"whose the accounts were"`
	TargetPersonID uuid.UUID       `json:"targetPersonId" format:"uuid"`
	IdentityIDs    []uuid.UUID     `json:"identityIds" doc:"the accounts that moved"`
	Automatic      bool            `json:"automatic" doc:"made by evidence, not by people"`
	By             string          `json:"by" doc:"the key's name, or evidence"`
	Reason         string          `json:"reason"`
	Evidence       []MergeEvidence `json:"evidence"`
	Confidence     float64         `json:"confidence" doc:"0 to 1; what people say is 1"`
	SuggestionID   *uuid.UUID      `json:"suggestionId,omitempty" format:"uuid" doc:"that was confirmed"`
	CreatedAt      time.Time       `json:"createdAt"`
	UndoneAt       *time.Time      `json:"undoneAt"`
	UndoneBy       string          `json:"undoneBy,omitempty"`
}

// MergeEvidence is one thing that speaks for two accounts being one person's.
type MergeEvidence struct {
	Reason      string      `json:"reason" enum:"same_phone,same_email,same_username,same_name_and_group"`
	Value       string      `json:"value" doc:"the number, address or name that is the same"`
	Confidence  float64     `json:"confidence,omitempty"`
	IdentityIDs []uuid.UUID `json:"identityIds,omitempty"`
}

// MergeFilter narrows a list of changes; zero fields do not.
type MergeFilter struct {
	Within   []uuid.UUID // instances the caller may see; nil: all
	PersonID uuid.UUID   // of either side
	ID       uuid.UUID
}

// Suggestion says that two persons may be one.
type Suggestion struct {
	ID         uuid.UUID         `json:"id" format:"uuid" required:"true"`
	Status     string            `json:"status" enum:"open,confirmed,dismissed"`
	Confidence float64           `json:"confidence" doc:"0 to 1, of the best reason"`
	Reasons    []MergeEvidence   `json:"reasons"`
	PersonIDs  []uuid.UUID       `json:"personIds" doc:"the two of them, the elder first: it is kept where the suggestion is confirmed"`
	Persons    []SuggestedPerson `json:"persons"`
	MergeID    *uuid.UUID        `json:"mergeId,omitempty" format:"uuid" doc:"confirmed: what it became"`
	DecidedBy  string            `json:"decidedBy,omitempty"`
	DecidedAt  *time.Time        `json:"decidedAt,omitempty"`
	CreatedAt  time.Time         `json:"createdAt"`
}

// SuggestedPerson is one side of a suggestion, with the account it is about.
type SuggestedPerson struct {
	ID             uuid.UUID `json:"id" format:"uuid"`
	DisplayName    string    `json:"displayName"`
	IdentityID     uuid.UUID `json:"identityId" format:"uuid"`
	InstanceID     uuid.UUID `json:"instanceId" format:"uuid"`
	Channel        string    `json:"channel"`
	PlatformUserID string    `json:"platformUserId"`
}

// SuggestionFilter narrows a list of suggestions; zero fields do not.
type SuggestionFilter struct {
	Within     []uuid.UUID // instances the caller may see; nil: all
	Status     string      // "": open
	PersonID   uuid.UUID
	InstanceID uuid.UUID
	ID         uuid.UUID // this one, whatever its status
}

// GraphState is what a call to change the graph came to.
type GraphState string

// What a change of the graph comes to.
const (
	GraphDone       GraphState = "done"
	GraphNotFound   GraphState = "not_found"
	GraphHidden     GraphState = "hidden"     // the caller does not see all of them
	GraphSame       GraphState = "same"       // a person and itself
	GraphAlready    GraphState = "already"    // it is that person's account
	GraphAlone      GraphState = "alone"      // it is its person's only account
	GraphUndone     GraphState = "undone"     // it was undone before
	GraphSuperseded GraphState = "superseded" // a later change stands on it: ID, unless nil
	GraphSettled    GraphState = "settled"    // the suggestion was decided, or they are one by now
)

// GraphAnswer is what a change came to: ID is the change (of superseded: the
// one to undo first).
type GraphAnswer struct {
	State GraphState
	ID    uuid.UUID
}

// GraphCall is who asks for a change, and why.
type GraphCall struct {
	TenantID string
	Within   []uuid.UUID // instances the caller may see; nil: all
	By       string
	Reason   string
}

package workflows

import (
	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The search attributes, all keywords, none secret. They are registered by
// omni migrate and by the embedded stack.
var (
	AttrInstance   = temporal.NewSearchAttributeKeyKeyword("OmniInstance")
	AttrChannel    = temporal.NewSearchAttributeKeyKeyword("OmniChannel")
	AttrChat       = temporal.NewSearchAttributeKeyKeyword("OmniChat")
	AttrPerson     = temporal.NewSearchAttributeKeyKeyword("OmniPerson")
	AttrExternalID = temporal.NewSearchAttributeKeyKeyword("OmniExternalId")
	AttrTurn       = temporal.NewSearchAttributeKeyKeyword("OmniTurn")
	AttrOutcome    = temporal.NewSearchAttributeKeyKeyword("OmniOutcome")
)

// tag sets what is known before a wait, so that a turn in progress is found by
// its id. A turn that is answered at once is tagged with its outcome only.
func (t *turn) tag(ctx workflow.Context) error {
	if t.tagged || t.ref.TurnID == uuid.Nil {
		return nil
	}
	t.tagged = true
	return workflow.UpsertTypedSearchAttributes(ctx, t.attributes()...)
}

func (t *turn) tagOutcome(ctx workflow.Context, outcome string) error {
	updates := []temporal.SearchAttributeUpdate{AttrOutcome.ValueSet(outcome)}
	if !t.tagged && t.ref.TurnID != uuid.Nil {
		updates = append(updates, t.attributes()...)
	} else if !t.tagged && t.person != uuid.Nil {
		updates = append(updates, AttrPerson.ValueSet(t.person.String()))
	}
	return workflow.UpsertTypedSearchAttributes(ctx, updates...)
}

func (t *turn) attributes() []temporal.SearchAttributeUpdate {
	updates := []temporal.SearchAttributeUpdate{AttrTurn.ValueSet(t.ref.TurnID.String())}
	if t.person != uuid.Nil {
		updates = append(updates, AttrPerson.ValueSet(t.person.String()))
	}
	return updates
}

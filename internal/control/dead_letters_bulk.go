package control

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// DeadLetterSelection says which open dead letters are meant: those that match
// all that is given. To mean every one, All must say so.
type DeadLetterSelection struct {
	InstanceID *uuid.UUID `json:"instanceId,omitempty" format:"uuid"`
	ChatID     *uuid.UUID `json:"chatId,omitempty" format:"uuid"`
	PersonID   *uuid.UUID `json:"personId,omitempty" format:"uuid"`
	Step       string     `json:"step,omitempty" doc:"the step that was given up on (agent.Reply)" maxLength:"100"`
	Cause      string     `json:"cause,omitempty" doc:"as the dead letters have it" maxLength:"100"`
	All        bool       `json:"all,omitempty" doc:"every open one, where nothing else is given"`
	DryRun     bool       `json:"dryRun,omitempty" doc:"only count"`
}

// DeadLetterBulk is what became of a selection.
type DeadLetterBulk struct {
	Count     int            `json:"count" doc:"retried or resolved; with dryRun: how many are meant" required:"true"`
	Refused   int            `json:"refused" doc:"could not be retried, and are still open"`
	Reasons   map[string]int `json:"reasons,omitempty" doc:"of the refused ones, by code"`
	Remaining int            `json:"remaining" doc:"not reached within the time of one call: call again"`
	DryRun    bool           `json:"dryRun"`
}

// bulkTime is how long one call goes on retrying.
const bulkTime = 30 * time.Second

// RetryAll retries the open dead letters of a selection, oldest first, each as
// Retry does. Those that come up meanwhile are not part of it.
func (s *DeadLetters) RetryAll(ctx context.Context, who *omni.APIKey, sel DeadLetterSelection) (*DeadLetterBulk, error) {
	f, err := sel.filter(who)
	if err != nil {
		return nil, err
	}
	f.Until = time.Now()
	total, err := s.store.CountDeadLetters(ctx, who.TenantID, f)
	if err != nil {
		return nil, err
	}
	if sel.DryRun {
		return &DeadLetterBulk{Count: total, DryRun: true}, nil
	}
	out := &DeadLetterBulk{Remaining: total}
	const batch = 100
	var after *omni.Key
	for deadline := time.Now().Add(bulkTime); ; {
		keys, err := s.store.NextDeadLetters(ctx, who.TenantID, f, after, batch)
		if err != nil {
			return nil, err
		}
		for i := range keys {
			if time.Now().After(deadline) {
				return out, nil
			}
			if err := s.retryOne(ctx, who.TenantID, keys[i].ID, out); err != nil {
				return nil, err
			}
		}
		if len(keys) < batch {
			out.Remaining = 0
			return out, nil
		}
		after = &keys[len(keys)-1]
	}
}

// retryOne counts what becomes of one of a selection.
func (s *DeadLetters) retryOne(ctx context.Context, tenant string, id uuid.UUID, out *DeadLetterBulk) error {
	err := s.retry(ctx, tenant, id)
	var refused *Error
	switch {
	case err == nil:
		out.Count++
	case errors.As(err, &refused):
		out.Refused++
		if out.Reasons == nil {
			out.Reasons = map[string]int{}
		}
		out.Reasons[refused.Code]++
	default:
		return err
	}
	out.Remaining = max(out.Remaining-1, 0)
	return nil
}

// ResolveAll closes the open dead letters of a selection.
func (s *DeadLetters) ResolveAll(ctx context.Context, who *omni.APIKey, sel DeadLetterSelection) (*DeadLetterBulk, error) {
	f, err := sel.filter(who)
	if err != nil {
		return nil, err
	}
	out := &DeadLetterBulk{DryRun: sel.DryRun}
	if sel.DryRun {
		out.Count, err = s.store.CountDeadLetters(ctx, who.TenantID, f)
	} else {
		out.Count, err = s.store.ResolveDeadLetters(ctx, who.TenantID, f)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (sel DeadLetterSelection) filter(who *omni.APIKey) (omni.DeadLetterFilter, error) {
	f := omni.DeadLetterFilter{Within: who.InstanceIDs, Step: sel.Step, Cause: sel.Cause, Status: string(omni.DeadLetterOpen),
		InstanceID: orNil(sel.InstanceID), ChatID: orNil(sel.ChatID), PersonID: orNil(sel.PersonID)}
	narrowed := sel.Step != "" || sel.Cause != "" || f.InstanceID != uuid.Nil || f.ChatID != uuid.Nil || f.PersonID != uuid.Nil
	switch {
	case !narrowed && !sel.All:
		return f, invalid("cause", "say which ones: cause, step, instanceId, chatId or personId, or all: true for every one")
	case narrowed && sel.All:
		return f, invalid("all", "says every one, and another field which ones: give either")
	}
	return f, nil
}

func orNil(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}

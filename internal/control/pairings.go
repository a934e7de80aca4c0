package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// PairingRequest decides about a stranger, found by the code that they were
// told or by the pairing's id.
type PairingRequest struct {
	InstanceID *uuid.UUID `json:"instanceId,omitempty" format:"uuid" doc:"where the stranger wrote; may be left out"`
	Code       string     `json:"code,omitempty" doc:"as the stranger was told; case, blanks and hyphens do not count" example:"K7QM-2XPA" maxLength:"50"`
	ID         *uuid.UUID `json:"id,omitempty" format:"uuid" doc:"instead of the code"`
	Action     string     `json:"action,omitempty" enum:"approve,reject" default:"approve"`
}

// guessEvery is how long one wrong code is counted (access_pairing_decide).
const guessEvery = time.Minute

// Pairings reads a page of pairings.
func (s *Access) Pairings(ctx context.Context, who *omni.APIKey, f omni.PairingFilter, p Paging) (*List[omni.Pairing], error) {
	f.Within = who.InstanceIDs
	return list(ctx, who, f, p, s.store.ListPairings, func(v *omni.Pairing) (time.Time, uuid.UUID) { return v.CreatedAt, v.ID })
}

// Pair approves a stranger, who is allowed from then on, or rejects them.
func (s *Access) Pair(ctx context.Context, who *omni.APIKey, req PairingRequest) (*omni.Pairing, error) {
	v, err := verdict(who, &req)
	if err != nil {
		return nil, err
	}
	if req.InstanceID != nil {
		if _, err := visibleInstance(ctx, s.store, who, *req.InstanceID); err != nil {
			return nil, err
		}
	}
	r, err := s.store.DecidePairing(ctx, *v)
	if err != nil {
		return nil, err
	}
	switch r.State {
	case omni.PairingDecided:
		return r.Pairing, nil
	case omni.PairingLimited:
		return nil, &Error{Kind: KindLimited, Code: CodeTooManyGuesses, RetryAfter: guessEvery,
			Detail: "too many wrong codes; wait, or name the pairing by its id"}
	case omni.PairingClosed:
		return nil, &Error{Kind: KindConflict, Code: CodePairingClosed, Detail: "the pairing is " + r.Pairing.Status}
	default:
		return nil, notFound("open pairing")
	}
}

func verdict(who *omni.APIKey, req *PairingRequest) (*omni.PairingVerdict, error) {
	v := &omni.PairingVerdict{TenantID: who.TenantID, Within: who.InstanceIDs, Approve: req.Action != "reject", By: who.Name, Guesser: who.ID}
	if req.InstanceID != nil {
		v.InstanceID = uuid.NullUUID{UUID: *req.InstanceID, Valid: true}
	}
	switch {
	case req.Code != "" && req.ID != nil:
		return nil, invalid("code", "give the code or the id, not both")
	case req.ID != nil:
		v.ID = uuid.NullUUID{UUID: *req.ID, Valid: true}
	case req.Code == "":
		return nil, invalid("code", "is required, or id")
	default:
		code, ok := omni.ParsePairingCode(req.Code)
		if !ok {
			return nil, invalid("code", "is no code: it has eight letters and digits, and none that are taken for others")
		}
		v.Code = code
	}
	return v, nil
}

package deliver

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

const (
	// keptWithin is how long a claim that was kept is good: well below the lease
	// of its sender, which nobody renews meanwhile. Later the same sender asks
	// again, and finds the part in sending.
	keptWithin = 5 * time.Second
	// keptAtMost is when nobody will come for it any more.
	keptAtMost = time.Minute
)

// kept holds the parts that were claimed with their answers until the delivery
// that follows asks for them. One that nobody asks for (its workflow went on
// elsewhere) is found in sending when the sender's lease is over.
type kept struct {
	mu     sync.Mutex
	claims map[uuid.UUID]keptClaim // by turn
	swept  time.Time
}

type keptClaim struct {
	params omni.ClaimParams
	claim  omni.PartClaim
	at     time.Time
}

// Claiming names a new sender for a part of the turn.
func (a *Activities) Claiming(inst *omni.Instance, turn activities.TurnRef) omni.ClaimParams {
	return claimParams(inst, turn, a.newSender())
}

// Keep leaves a part that p claimed to the next run of deliver.Send for its
// turn in this process. A claim that handed nothing out is not kept: false.
func (a *Activities) Keep(p omni.ClaimParams, c omni.PartClaim) bool {
	if c.State != "claimed" && c.State != "resume" {
		return false
	}
	a.kept.put(keptClaim{params: p, claim: c, at: time.Now()})
	return true
}

func (k *kept) put(c keptClaim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.claims == nil {
		k.claims = map[uuid.UUID]keptClaim{}
	}
	if c.at.Sub(k.swept) > keptAtMost {
		k.swept = c.at
		for turn, old := range k.claims {
			if c.at.Sub(old.at) > keptAtMost {
				delete(k.claims, turn)
			}
		}
	}
	k.claims[c.params.TurnID] = c
}

// take returns the claim kept for a turn, once, and only to the workflow and
// in the epoch that it was made for.
func (k *kept) take(turn activities.TurnRef) (keptClaim, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.claims[turn.TurnID]
	delete(k.claims, turn.TurnID)
	return c, ok && c.params.WorkflowID == turn.WorkflowID && c.params.Epoch == turn.Epoch
}

// fresh reports whether the sender's lease is surely its own still.
func (c *keptClaim) fresh() bool { return time.Since(c.at) < keptWithin }

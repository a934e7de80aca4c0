package relay

import (
	"context"
	"time"

	"github.com/omnihub/omni/internal/omni"
)

// place keeps in Postgres how far a term came. A write for each batch would
// cost more than the batch.
type place struct {
	deps   Deps
	at     omni.Position
	kept   omni.Position
	keptAt time.Time
}

// move says how far the term is, and keeps it where it is time, or idle.
func (p *place) move(ctx context.Context, to omni.Position, idle bool) error {
	p.at = to
	if !p.kept.Less(to) || !idle && time.Since(p.keptAt) < keepEvery {
		return nil
	}
	if err := p.deps.Store.AdvanceRelayCursor(ctx, name, to); err != nil {
		return err
	}
	p.kept, p.keptAt = to, time.Now()
	return nil
}

// keepLast keeps the end of a term.
func (p *place) keepLast(ctx context.Context) {
	if !p.kept.Less(p.at) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepLimit)
	defer cancel()
	if err := p.deps.Store.AdvanceRelayCursor(ctx, name, p.at); err != nil {
		p.deps.Log.WarnContext(ctx, "the relay's place was not kept", "error", err)
	}
}

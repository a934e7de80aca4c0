package relay

import (
	"context"
	"encoding/json"

	"github.com/omnihub/omni/internal/bus"
	"github.com/omnihub/omni/internal/omni"
)

const (
	pieceEvents = 256
	pieceRoom   = 4 << 10 // bytes of a piece that are not events
)

// tail publishes the log to those who follow it live: best effort, each event
// once in a term. A reader that misses a piece sees it by the next one's Prev
// and reads Postgres; one that gets events again (a new term) knows them by
// their position.
type tail struct {
	deps  Deps
	begin omni.Position            // of the term
	last  map[string]omni.Position // by tenant: the last one published
}

func newTail(deps Deps, begin omni.Position) *tail {
	return &tail{deps: deps, begin: begin, last: map[string]omni.Position{}}
}

func (t *tail) publish(ctx context.Context, batch []bus.OutgoingEvent) {
	var tenants []string
	byTenant := map[string][]bus.OutgoingEvent{}
	for _, out := range batch {
		tenant := out.Event.TenantID
		if !t.before(tenant).Less(out.Event.Position) {
			continue // a batch tried again
		}
		if byTenant[tenant] == nil {
			tenants = append(tenants, tenant)
		}
		byTenant[tenant] = append(byTenant[tenant], out)
	}
	for _, tenant := range tenants {
		for rest := byTenant[tenant]; len(rest) > 0; {
			piece := rest[:t.fits(rest)]
			rest = rest[len(piece):]
			t.send(ctx, tenant, piece)
		}
	}
}

// fits is how many of the first events go into one message, at least one.
func (t *tail) fits(events []bus.OutgoingEvent) int {
	room := t.deps.Bus.MaxPayload() - pieceRoom
	n := 0
	for n < len(events) && n < pieceEvents {
		room -= len(events[n].Payload) + 1
		if room < 0 && n > 0 {
			break
		}
		n++
	}
	return n
}

func (t *tail) send(ctx context.Context, tenant string, piece []bus.OutgoingEvent) {
	batch := bus.LogBatch{Prev: t.before(tenant).String(), Events: make([]json.RawMessage, len(piece))}
	for i, out := range piece {
		batch.Events[i] = out.Payload
	}
	if err := t.deps.Bus.PublishLog(ctx, tenant, batch); err != nil {
		t.deps.Log.WarnContext(ctx, "piece of the live log not published", "tenant", tenant, "error", err)
	}
	t.last[tenant] = piece[len(piece)-1].Event.Position
}

// before is the position of the tenant's last published event.
func (t *tail) before(tenant string) omni.Position {
	if p, ok := t.last[tenant]; ok {
		return p
	}
	return t.begin
}

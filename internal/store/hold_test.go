package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// A turn does not close before what came earlier has joined it: while that is
// to be expected, and may be answered at all.
func TestWhatHoldsATurnOpen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		early func(w *world) omni.Envelope
		waits time.Duration // since the last message of the turn
		want  string
	}{
		"a message":               {early: message1, want: "wait"},
		"a message, for a while":  {early: message1, waits: 59 * time.Second, want: "wait"},
		"one that never comes":    {early: message1, waits: 61 * time.Second, want: "closed"},
		"a reaction to be begun":  {early: func(w *world) omni.Envelope { return w.reaction("c1", "ana", "r1", "m0", "👍") }, want: "wait"},
		"one that is ignored":     {early: ignored1, want: "closed"},
		"what was before our day": {early: backfilled1, want: "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			early := tc.early(w)
			late := w.inbound("c1", "ana", "m2", "two")
			w.record(early, late)
			w.admit(late)
			v := w.join(late, time.Second)
			require.Equal(t, "leader", v.State)
			w.age(v.TurnID.UUID, max(tc.waits, time.Second))
			require.Equal(t, tc.want, w.closeTurn(late, v).State)
		})
	}
}

func message1(w *world) omni.Envelope { return w.inbound("c1", "ana", "m1", "one") }

func ignored1(w *world) omni.Envelope {
	e := message1(w)
	e.Admission = &omni.Admission{Status: omni.StatusIgnored, Reason: string(omni.RefusedTooOld)}
	return e
}

func backfilled1(w *world) omni.Envelope {
	e := message1(w)
	e.Event.Backfill = true
	return e
}

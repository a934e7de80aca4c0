package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// schedule accepts a message for a time.
func (w *world) schedule(chat string, at time.Time) (id, chatID uuid.UUID) {
	w.t.Helper()
	key := uuid.New()
	a, err := w.AcceptOutbound(w.t.Context(), omni.OutboundDraft{ID: uuid.New(), TenantID: omni.DefaultTenant, InstanceID: w.instance,
		Channel: "custom", Chat: message.Chat{ID: chat, Type: message.ChatDM}, Content: message.Content{Type: message.TypeText, Text: "later"},
		SendAt: &at, KeyHash: key[:], BodyHash: key[:]})
	require.NoError(w.t, err)
	return a.MessageID, a.ChatID
}

func (w *world) claimScheduled(chat, id uuid.UUID) (omni.PartClaim, error) {
	return w.ClaimOutbound(context.WithoutCancel(w.t.Context()), omni.ClaimParams{ChatID: chat, MessageID: id, Sender: "me/1/1",
		TTL: time.Hour, StartedAt: time.Now()})
}

// Whatever wakes its workflow, a scheduled message does not leave before its time.
func TestScheduledMessageIsNotEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, chat := w.schedule("c1", time.Now().Add(time.Hour))
	c, err := w.claimScheduled(chat, id)
	require.NoError(t, err)
	require.Equal(t, "busy", c.State)
	require.Greater(t, c.Wait, 59*time.Minute)
	require.Equal(t, "scheduled", w.status(id))
}

// Its time comes while somebody cancels it: one of the two happens, and the
// other one is told.
func TestCancelRacesWithTheSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sent := 0
	for range 40 {
		id, chat := w.schedule("c1", time.Now())
		var claim omni.PartClaim
		var cancelled, failed error
		var wg sync.WaitGroup
		start := make(chan struct{})
		wg.Go(func() { <-start; claim, failed = w.claimScheduled(chat, id) })
		wg.Go(func() {
			<-start
			cancelled = w.CancelScheduled(context.WithoutCancel(t.Context()), omni.DefaultTenant, id)
		})
		close(start)
		wg.Wait()
		require.NoError(t, failed)
		if errors.Is(cancelled, omni.ErrNotScheduled) {
			sent++
			require.Equal(t, "claimed", claim.State)
			require.Equal(t, "sending", w.status(id))
			_, _, err := w.ReceiptPart(t.Context(), omni.ReceiptParams{ChatID: chat, MessageID: id, Status: "sent", Attempt: w.attempt()})
			require.NoError(t, err)
			continue
		}
		require.NoError(t, cancelled)
		require.Equal(t, "cancelled", claim.State)
		require.Equal(t, "cancelled", w.status(id))
	}
	t.Logf("%d of 40 were sent", sent)
}

package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// longMessage accepts a message of three parts.
func (w *world) longMessage(at *time.Time) *omni.OutboundAccepted {
	w.t.Helper()
	key := uuid.New()
	text := func(s string) message.Content { return message.Content{Type: message.TypeText, Text: s} }
	acc, err := w.AcceptOutbound(w.t.Context(), omni.OutboundDraft{ID: key, TenantID: omni.DefaultTenant, InstanceID: w.instance,
		Channel: "custom", Chat: message.Chat{ID: "c1", Type: message.ChatDM}, Content: text("one"),
		Rest: []message.Content{text("two"), text("three")}, ReplyToExt: "ext-1", SendAt: at, KeyHash: key[:], BodyHash: key[:]})
	require.NoError(w.t, err)
	require.Equal(w.t, 3, acc.Parts)
	return acc
}

func (w *world) claimOutbound(acc *omni.OutboundAccepted, part int) omni.PartClaim {
	w.t.Helper()
	c, err := w.ClaimOutbound(w.t.Context(), omni.ClaimParams{ChatID: acc.ChatID,
		MessageID: omni.OutboundPartID(acc.MessageID, part), Sender: "a/1/1", TTL: time.Hour, StartedAt: time.Now()})
	require.NoError(w.t, err)
	return c
}

func (w *world) receiptOutbound(acc *omni.OutboundAccepted, c omni.PartClaim, status string) {
	w.t.Helper()
	_, _, err := w.ReceiptPart(w.t.Context(), omni.ReceiptParams{ChatID: acc.ChatID, MessageID: c.MessageID, Status: status, Attempt: w.attempt()})
	require.NoError(w.t, err)
}

func (w *world) partStatuses(acc *omni.OutboundAccepted) (all []string) {
	w.t.Helper()
	for i := range acc.Parts {
		all = append(all, w.status(omni.OutboundPartID(acc.MessageID, i)))
	}
	return all
}

func TestOutboundPartsAreSentInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acc := w.longMessage(nil)
	for i, text := range []string{"one", "two", "three"} {
		c := w.claimOutbound(acc, i)
		require.Equal(t, "claimed", c.State)
		require.Equal(t, text, c.Content.Text)
		require.Equal(t, message.Part{Index: i, Count: 3}, c.Part)
		require.Equal(t, i == 0, c.ReplyTo == "ext-1", "the first part quotes what is answered")
		w.receiptOutbound(acc, c, "sent")
	}
	require.Equal(t, []string{"sent", "sent", "sent"}, w.partStatuses(acc))
}

// A message sent by API does not come between the parts of a reply, nor a
// reply's part between claim and receipt of such a message.
func TestOneDeliveryAtATimeInAChat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acc := w.longMessage(nil)
	e := w.receive("c1", "ana", "m1", "hello")
	v := w.join(e, 0)
	w.answer(e, v, "hello", "yourself")
	first := w.claim(e, v, "a/1/1")
	require.Equal(t, "busy", w.claimOutbound(acc, 0).State)
	w.receipt(e, v, first, "sent")
	require.Equal(t, "busy", w.claimOutbound(acc, 0).State, "the reply is not over")
	finished, _ := w.receipt(e, v, w.claim(e, v, "a/1/1"), "sent")
	require.True(t, finished)

	c := w.claimOutbound(acc, 0)
	require.Equal(t, "claimed", c.State)
	e = w.receive("c1", "ana", "m2", "and?")
	v = w.join(e, 0)
	w.answer(e, v, "and so")
	require.Equal(t, "busy", w.claim(e, v, "b/1/1").State)
	require.Equal(t, "busy", w.claimOutbound(acc, 1).State)
	w.receiptOutbound(acc, c, "sent")
	require.Equal(t, "claimed", w.claim(e, v, "b/1/1").State)
}

// The platform's wait is in the row: whoever claims the part waits.
func TestAMessageSentByAPIWaitsAsThePlatformSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acc := w.longMessage(nil)
	_, _, err := w.ReceiptPart(t.Context(), omni.ReceiptParams{ChatID: acc.ChatID, MessageID: w.claimOutbound(acc, 0).MessageID, Status: "queued",
		Error: "rate_limited: 429", RetryAfter: time.Minute, Attempt: w.attempt()})
	require.NoError(t, err)
	c := w.claimOutbound(acc, 0)
	require.Equal(t, "later", c.State)
	require.Equal(t, "rate_limited: 429", c.Error)
	require.InDelta(t, 60, c.Wait.Seconds(), 5)
}

// What comes behind a part that was not sent is not sent either, unless the
// instance wants the unknown skipped.
func TestOutboundPartsEndWithTheFirstThatIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, status := range []string{"failed", "unknown"} {
		acc := w.longMessage(nil)
		w.receiptOutbound(acc, w.claimOutbound(acc, 0), "sent")
		w.receiptOutbound(acc, w.claimOutbound(acc, 1), status)
		require.Equal(t, "cancelled", w.claimOutbound(acc, 2).State)
		require.Equal(t, []string{"sent", status, "cancelled"}, w.partStatuses(acc))
		require.Equal(t, "cancelled", w.claimOutbound(acc, 2).State, "and stays it")
		require.Equal(t, "message.deleted", w.story(acc.MessageID)[len(w.story(acc.MessageID))-1])
	}
	w.configure()
	_, err := w.Pool().Exec(t.Context(),
		`UPDATE instances SET settings = settings || '{"messaging": {"unknownPolicy": "skip"}}' WHERE id = $1`, w.instance)
	require.NoError(t, err)
	acc := w.longMessage(nil)
	w.receiptOutbound(acc, w.claimOutbound(acc, 0), "unknown")
	require.Equal(t, "claimed", w.claimOutbound(acc, 1).State)
}

// parked is a message of three parts that stopped at the second: nobody knows
// whether that arrived.
func (w *world) parked() (*omni.OutboundAccepted, omni.PartClaim) {
	w.t.Helper()
	acc := w.longMessage(nil)
	w.receiptOutbound(acc, w.claimOutbound(acc, 0), "sent")
	second := w.claimOutbound(acc, 1)
	w.receiptOutbound(acc, second, "unknown")
	require.Equal(w.t, "cancelled", w.claimOutbound(acc, 2).State)
	return acc, second
}

// walk claims all parts in order, as a workflow that goes on with the message
// does, and returns what was handed out.
func (w *world) walk(acc *omni.OutboundAccepted) (texts []string) {
	w.t.Helper()
	for i := range acc.Parts {
		if c := w.claimOutbound(acc, i); c.State == "claimed" {
			texts = append(texts, c.Content.Text)
			w.receiptOutbound(acc, c, "sent")
		}
	}
	return texts
}

func (w *world) resumptions() []omni.OutboundResumption {
	w.t.Helper()
	list, err := w.ReleaseOutbound(w.t.Context(), 0, 10)
	require.NoError(w.t, err)
	return list
}

// The rest of a message goes on once somebody says what became of the part
// before it; also days later.
func TestAResolvedMessageGoesOn(t *testing.T) {
	t.Parallel()
	for outcome, rest := range map[string][]string{"sent": {"three"}, "resend": {"two", "three"}, "failed": nil} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			acc, second := w.parked()
			w.exec(`UPDATE messages SET created_at = created_at - interval '3 days' WHERE correlation_id = $1`, acc.MessageID)
			r := w.resolve(second, outcome)
			require.Equal(t, omni.ResolveResolved, r.State)
			require.Equal(t, rest != nil, r.Resumption.Valid)
			if r.Resumption.Valid {
				require.Equal(t, acc.MessageID, r.MessageID)
				require.Equal(t, 3, r.Parts)
				require.Equal(t, r.Resumption.UUID, w.resumptions()[0].ID, "until its workflow is known to exist")
				require.NoError(t, w.MarkResumptionStarted(t.Context(), r.Resumption.UUID))
			}
			require.Empty(t, w.resumptions())
			require.Equal(t, rest, w.walk(acc))
			require.Equal(t, omni.ResolveSettled, w.resolve(second, outcome).State)
			require.Nil(t, w.walk(acc), "once")
		})
	}
}

// A part of the rest is unknown, too: what is behind that waits again.
func TestAMessageStopsAgainWhereNobodyKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acc := w.longMessage(nil)
	w.receiptOutbound(acc, w.claimOutbound(acc, 0), "unknown")
	w.claimOutbound(acc, 1)
	w.claimOutbound(acc, 2)
	require.Equal(t, []string{"unknown", "cancelled", "cancelled"}, w.partStatuses(acc))
	first := w.resolve(omni.PartClaim{MessageID: acc.MessageID}, "sent")
	second := w.claimOutbound(acc, 1)
	w.receiptOutbound(acc, second, "unknown")
	require.Equal(t, omni.ResolveBusy, w.resolve(second, "sent").State, "whoever sends it has not come to the last one")
	require.Equal(t, "unknown", w.status(second.MessageID))
	w.claimOutbound(acc, 2)
	require.Equal(t, []string{"sent", "unknown", "cancelled"}, w.partStatuses(acc))
	again := w.resolve(second, "sent")
	require.NotEqual(t, first.Resumption.UUID, again.Resumption.UUID, "a workflow of its own")
	require.Equal(t, []string{"three"}, w.walk(acc))
}

// The platform's receipt says it: nobody has to.
func TestAReceiptLetsAHeldMessageGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acc, second := w.parked()
	require.Empty(t, w.resumptions(), "nobody knows yet")
	w.exec(`UPDATE messages SET external_id = 'x2' WHERE id = $1`, second.MessageID)
	w.exec(`SELECT record_receipt('default', $1, 'x2', 'delivered', '')`, w.instance)
	list := w.resumptions()
	require.Len(t, list, 1)
	require.Equal(t, acc.MessageID, list[0].MessageID)
	require.Equal(t, 3, list[0].Parts)
	require.NoError(t, w.MarkResumptionStarted(t.Context(), list[0].ID))
	require.Empty(t, w.resumptions())
	require.Equal(t, []string{"three"}, w.walk(acc))
	require.Equal(t, []string{"sent", "delivered", "sent"}, w.partStatuses(acc))
}

// What was cancelled by call, or behind a part that was refused, stays so.
func TestWhatWasNotHeldIsNotReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Now().Add(time.Hour)
	acc := w.longMessage(&at)
	require.NoError(t, w.CancelScheduled(t.Context(), omni.DefaultTenant, acc.MessageID))
	refused := w.longMessage(nil)
	w.receiptOutbound(refused, w.claimOutbound(refused, 0), "failed")
	w.walk(refused)
	require.Empty(t, w.resumptions())
	require.Equal(t, []string{"failed", "cancelled", "cancelled"}, w.partStatuses(refused))
}

func TestCancellingAScheduledMessageCancelsItsParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Now().Add(time.Hour)
	acc := w.longMessage(&at)
	require.Equal(t, []string{"scheduled", "scheduled", "scheduled"}, w.partStatuses(acc))
	require.NoError(t, w.CancelScheduled(t.Context(), omni.DefaultTenant, acc.MessageID))
	require.Equal(t, []string{"cancelled", "cancelled", "cancelled"}, w.partStatuses(acc))
	require.ErrorIs(t, w.CancelScheduled(t.Context(), omni.DefaultTenant, acc.MessageID), omni.ErrNotScheduled)
	require.Equal(t, "cancelled", w.claimOutbound(acc, 1).State)

	// Started later, or asked for again, it still has its parts.
	late := w.longMessage(nil)
	unstarted, err := w.UnstartedOutbound(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Equal(t, late.MessageID, unstarted[len(unstarted)-1].MessageID)
	require.Equal(t, 3, unstarted[len(unstarted)-1].Parts)
}

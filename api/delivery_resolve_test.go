package api_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// uncertain sends a message of which nobody knows whether it arrived.
func (h *hub) uncertain(instance uuid.UUID) uuid.UUID {
	h.t.Helper()
	id := h.send(textTo(instance, "c1", "hi")).ID
	_, err := h.store.Pool().Exec(h.t.Context(), `UPDATE messages SET status = 'unknown', error = 'unknown: timeout' WHERE id = $1`, id)
	require.NoError(h.t, err)
	return id
}

func (h *hub) resolveDelivery(id uuid.UUID, body string) *answer {
	h.t.Helper()
	return h.admin(http.MethodPost, "/api/v1/messages/"+id.String()+"/resolve-delivery", body)
}

func TestAPersonSaysWhatBecameOfAMessage(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	for outcome, status := range map[string]omni.Status{"sent": omni.StatusSent, "failed": omni.StatusFailed, "resend": omni.StatusQueued} {
		id := h.uncertain(in)
		a := h.resolveDelivery(id, `{"outcome":"`+outcome+`","externalId":"p1"}`)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		var m omni.Message
		a.data(t, &m)
		require.Equal(t, status, m.Status)
		require.Equal(t, "p1", m.ExternalID)
		if outcome == "resend" {
			require.Contains(t, h.engine.retried[0], "outbound/default/"+id.String())
			continue
		}
		a = h.resolveDelivery(id, `{"outcome":"sent"}`)
		require.Equal(t, http.StatusConflict, a.status, "it is known by now")
		require.Equal(t, "not_unknown", a.code(t))
	}
}

// The message is to be sent again and Temporal is away: it is started later,
// and only once.
func TestResendingWhileTemporalIsAway(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	id := h.uncertain(h.instance())
	h.engine.fail = errors.New("away")
	require.Equal(t, http.StatusOK, h.resolveDelivery(id, `{"outcome":"resend"}`).status)
	require.Equal(t, http.StatusConflict, h.resolveDelivery(id, `{"outcome":"resend"}`).status, "said once")
	require.Empty(t, h.engine.retried)
	h.engine.fail = nil
	_, err := h.store.Pool().Exec(t.Context(), `UPDATE outbound_resumptions SET created_at = created_at - interval '1 minute'`)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, h.control.Messages.Sweep(t.Context()))
		require.Len(t, h.engine.retried, 1)
	}
	require.Contains(t, h.engine.retried[0], "outbound/default/"+id.String())
}

func TestResolvingIsRefused(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	in := h.instance()
	for body, status := range map[string]int{`{"outcome":"perhaps"}`: 422, `{}`: 422, `{`: 400} {
		require.Equal(t, status, h.resolveDelivery(h.uncertain(in), body).status, body)
	}
	require.Equal(t, http.StatusNotFound, h.resolveDelivery(uuid.New(), `{"outcome":"sent"}`).status)
	received := h.received(in, "c9", "m1", "hello")
	require.Equal(t, http.StatusConflict, h.resolveDelivery(received, `{"outcome":"sent"}`).status, "an inbound message")
}

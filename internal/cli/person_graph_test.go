package cli_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func TestWhoIsWhoAsCommands(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	instance := uuid.New()
	identity := func(name string) string { return omni.IdentityID(instance, name).String() }
	person := func(name string) string { return omni.FirstPersonID(omni.IdentityID(instance, name)).String() }
	for _, name := range []string{"ana", "eve", "one", "two", "three"} {
		e := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now(),
			Event: message.Inbound{ID: "m-" + name, Kind: message.KindMessage, Timestamp: time.Now(), Chat: message.Chat{ID: name},
				Sender: message.Sender{ID: name, Name: name}, Content: message.Content{Type: message.TypeText, Text: "hi"}}}
		if name != "ana" && name != "eve" {
			e.Event.Sender.Username = "maria"
		}
		e.MessageID = omni.MessageID(instance, e.ExternalKey())
		require.NoError(t, h.store.Record(t.Context(), []omni.Envelope{e}, 0))
	}

	var m omni.Merge
	h.ok(&m, "persons", "merge", person("ana"), person("eve"), "--reason", "the same")
	require.Equal(t, person("eve"), m.PersonID.String())
	require.Contains(t, h.ok(nil, "merges", "list", "--person", person("eve")), m.ID.String())
	require.Contains(t, h.ok(nil, "merges", "get", m.ID.String()), "the same")
	h.ok(&m, "merges", "undo", m.ID.String())
	require.NotNil(t, m.UndoneAt)
	code, _, errs := h.run("merges", "undo", m.ID.String())
	require.Equal(t, 1, code)
	require.Contains(t, errs, "undone already")
	h.ok(&m, "persons", "link", identity("ana"), person("eve"))
	require.Equal(t, "link", m.Kind)
	h.ok(&m, "persons", "unlink", identity("ana"))
	require.Equal(t, "unlink", m.Kind)
	code, _, _ = h.run("persons", "merge", person("eve"))
	require.Equal(t, 2, code, "two persons are needed")

	n, err := h.store.FindSuggestions(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	var found []omni.Suggestion
	h.ok(&found, "persons", "suggestions", "--person", person("one"))
	require.Len(t, found, 2)
	var dismissed omni.Suggestion
	h.ok(&dismissed, "persons", "dismiss", found[0].ID.String())
	require.Equal(t, "dismissed", dismissed.Status)
	h.ok(&m, "persons", "confirm", found[1].ID.String())
	require.Equal(t, found[1].ID, *m.SuggestionID)
	require.Contains(t, h.ok(nil, "persons", "suggestions", "--status", "dismissed"), found[0].ID.String())
}

package cli_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// wrote records that somebody wrote to an instance, and returns the person.
func (h *apiHub) wrote(instance uuid.UUID, from message.Sender, text string) (person string) {
	h.t.Helper()
	e := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now(),
		Event: message.Inbound{ID: uuid.NewString(), Kind: message.KindMessage, Timestamp: time.Now(), Chat: message.Chat{ID: from.ID},
			Sender: from, Content: message.Content{Type: message.TypeText, Text: text}}}
	e.MessageID = omni.MessageID(instance, e.ExternalKey())
	require.NoError(h.t, h.store.Record(h.t.Context(), []omni.Envelope{e}, 0))
	return omni.FirstPersonID(omni.IdentityID(instance, from.ID)).String()
}

func TestPeopleAsCommands(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	instance := func() uuid.UUID {
		var in struct{ ID uuid.UUID }
		h.ok(&in, "instances", "create", "--channel", "custom", "--config", "secret="+cliSecret)
		return in.ID
	}
	first, second := instance(), instance()
	ana := h.wrote(first, message.Sender{ID: "a", Name: "Ana Souza", Username: "anas", Phone: "+5511987654321"}, "from the first")
	h.wrote(second, message.Sender{ID: "b", Name: "Ana S.", Phone: "+55 11 98765-4321"}, "from the second")
	bob := h.wrote(first, message.Sender{ID: "bob", Name: "Bob"}, "hi")

	type person struct{ ID, DisplayName, Phone string }
	var found []person
	for _, q := range []string{"SOUZA", "@anas", "(11) 98765-4321"} {
		h.ok(&found, "persons", "list", "--query", q)
		require.Equal(t, []person{{ana, "Ana Souza", "+5511987654321"}}, found, q)
	}
	h.ok(&found, "persons", "list", "--instance", second.String())
	require.Len(t, found, 1)
	h.ok(&found, "persons", "list", "--query", "nobody")
	require.Empty(t, found)
	require.Contains(t, h.ok(nil, "persons", "list", "--query", "bob"), bob, "a table for people")

	require.Contains(t, h.ok(nil, "persons", "get", ana), "Ana Souza")
	var accounts []struct{ PlatformUserID string }
	h.ok(&accounts, "persons", "identities", ana)
	require.Len(t, accounts, 2)
	require.Equal(t, "b", accounts[0].PlatformUserID, "the last used first")
	var said []struct {
		Content struct{ Text string }
	}
	h.ok(&said, "persons", "timeline", ana)
	require.Len(t, said, 2)
	require.Equal(t, "from the second", said[0].Content.Text)
	h.ok(&said, "persons", "timeline", ana, "--instance", first.String(), "--direction", "inbound", "--limit", "1")
	require.Len(t, said, 1)
	require.Equal(t, "from the first", said[0].Content.Text)
	require.Contains(t, h.ok(nil, "persons", "presence", ana), "unknown", "of this channel nothing is known")

	var sent struct{ InstanceID, To, Status string }
	h.ok(&sent, "messages", "send", "--person", ana, "--text", "hello")
	require.Equal(t, second.String(), sent.InstanceID, "where she last wrote from")
	require.Equal(t, "b", sent.To)
	h.ok(nil, "persons", "update", ana, "--preferred", omni.IdentityID(first, "a").String(), "--label", "vip")
	h.ok(&sent, "messages", "send", "--person", ana, "--text", "hello")
	require.Equal(t, first.String(), sent.InstanceID)
}

// What is wrong is said with the field that it is about, and changes nothing.
func TestPeopleCommandsNameTheFieldAtFault(t *testing.T) {
	t.Parallel()
	h := newAPIHub(t)
	instance := uuid.New()
	ana := h.wrote(instance, message.Sender{ID: "a", Name: "Ana"}, "hi")
	account, nobody := omni.IdentityID(instance, "a").String(), uuid.NewString()
	before := h.ok(nil, "persons", "get", ana, "--json")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"phone", []string{"persons", "update", ana, "--phone", "12"}},
		{"email", []string{"persons", "update", ana, "--email", "nobody"}},
		{"preferredIdentityId", []string{"persons", "update", ana, "--preferred", nobody}},
		{"say what to change", []string{"persons", "update", ana}},
		{"targetPersonId", []string{"persons", "merge", ana, ana}},
		{"sourcePersonId", []string{"persons", "merge", "no-id", ana}},
		{"404 not_found", []string{"persons", "merge", ana, nobody}},
		{"404 not_found", []string{"persons", "link", nobody, ana}},
		{"identityId", []string{"persons", "link", "no-id", ana}},
		{"already", []string{"persons", "link", account, ana}},
		{"only account", []string{"persons", "unlink", account}},
		{"404 not_found", []string{"merges", "undo", nobody}},
		{"404 not_found", []string{"persons", "confirm", nobody}},
		{"404 not_found", []string{"persons", "dismiss", nobody}},
		{"status", []string{"persons", "suggestions", "--status", "perhaps"}},
		{"since", []string{"persons", "timeline", ana, "--since", "yesterday"}},
		{"direction", []string{"persons", "timeline", ana, "--direction", "sideways"}},
		{"404 not_found", []string{"persons", "timeline", nobody}},
		{"404 not_found", []string{"persons", "presence", nobody}},
		{"404 not_found", []string{"messages", "send", "--person", nobody, "--text", "hi"}},
	} {
		code, out, errs := h.run(c.args...)
		require.Equal(t, 1, code, "%v", c.args)
		require.Empty(t, out, "%v", c.args)
		require.Contains(t, errs, c.want, "%v", c.args)
	}
	require.Equal(t, before, h.ok(nil, "persons", "get", ana, "--json"))
	require.JSONEq(t, `{"data":[],"meta":{"nextCursor":null}}`, h.ok(nil, "merges", "list", "--json"))
}

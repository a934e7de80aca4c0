package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// writes brings a message of an account that has a name and a username.
func (w *world) writes(instance uuid.UUID, chat message.Chat, sender message.Sender) uuid.UUID {
	w.t.Helper()
	e := w.shown(instance, sender.ID, uuid.NewString(), "", "")
	e.Event.Chat, e.Event.Sender = chat, sender
	w.record(e)
	return w.personOf(omni.IdentityID(instance, sender.ID))
}

func (w *world) find() int {
	w.t.Helper()
	n, err := w.FindSuggestions(w.t.Context(), 1000)
	require.NoError(w.t, err)
	return n
}

func TestSuggestionsByUsernameNameAndGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := uuid.New(), uuid.New()
	dm := func(id string) message.Chat { return message.Chat{ID: id, Type: message.ChatDM} }
	group := message.Chat{ID: "g1", Type: message.ChatGroup}
	w.writes(a, dm("1"), message.Sender{ID: "1", Name: "Bob", Username: "Maria"})
	w.writes(b, dm("2"), message.Sender{ID: "2", Name: "Bob", Username: "maria"})
	w.writes(b, dm("3"), message.Sender{ID: "3", Name: "Ana Silva"})
	w.writes(a, group, message.Sender{ID: "4", Name: "Ana Silva"})
	w.writes(a, group, message.Sender{ID: "5", Name: "ana silva"})
	w.writes(a, group, message.Sender{ID: "6", Name: "Someone else"})
	w.writes(b, dm("7"), message.Sender{ID: "7", Username: "maria", IsBot: true})
	require.Equal(t, 2, w.find())
	s := w.suggestions()
	require.Len(t, s, 2)
	reasons := map[string]omni.Suggestion{}
	for _, x := range s {
		require.Len(t, x.Reasons, 1)
		reasons[x.Reasons[0].Reason] = x
	}
	require.ElementsMatch(t, []uuid.UUID{w.personOf(omni.IdentityID(a, "1")), w.personOf(omni.IdentityID(b, "2"))}, reasons["same_username"].PersonIDs)
	require.ElementsMatch(t, []uuid.UUID{w.personOf(omni.IdentityID(a, "4")), w.personOf(omni.IdentityID(a, "5"))},
		reasons["same_name_and_group"].PersonIDs)
	require.Zero(t, w.find(), "each once")
	require.Len(t, w.suggestions(), 2)
	require.Equal(t, 2, w.tally(`SELECT count(*) FROM events WHERE type = 'identity.suggested'`))

	// The janitor goes on from where it was: what is settled is not looked at again.
	w.exec(`UPDATE identities SET first_seen_at = first_seen_at - interval '1 hour'`)
	w.find()
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM suggestion_cursor c JOIN identities i ON i.id = c.id AND i.first_seen_at = c.at
		WHERE NOT EXISTS (SELECT FROM identities j WHERE (j.first_seen_at, j.id) > (i.first_seen_at, i.id) AND NOT j.is_bot)`))
	w.writes(a, dm("8"), message.Sender{ID: "8", Name: "Bob", Username: "maria"})
	require.Equal(t, 2, w.find(), "with each of the two")
}

func TestConfirmedSuggestionIsAMergeThatCanBeUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b, c := uuid.New(), uuid.New(), uuid.New()
	dm := message.Chat{ID: "1", Type: message.ChatDM}
	elder := w.writes(a, dm, message.Sender{ID: "1", Username: "maria"})
	younger := w.writes(b, dm, message.Sender{ID: "2", Username: "maria"})
	third := w.writes(c, dm, message.Sender{ID: "3", Username: "maria"})
	require.Equal(t, 3, w.find())
	var between omni.Suggestion
	for _, s := range w.suggestions() {
		if s.PersonIDs[0] == elder && s.PersonIDs[1] == younger {
			between = s
		}
	}
	require.Equal(t, 0.6, between.Confidence) //nolint:testifylint // as it was written
	before := w.snapshot()
	answer, err := w.ConfirmSuggestion(t.Context(), call, between.ID)
	require.NoError(t, err)
	require.Equal(t, omni.GraphDone, answer.State)
	m := w.merges()[0]
	require.Equal(t, elder, m.PersonID, "the elder is kept")
	require.Equal(t, between.ID, *m.SuggestionID)
	require.Equal(t, "same_username", m.Evidence[0].Reason)
	require.InDelta(t, 0.6, m.Confidence, 0.001)
	left := w.suggestions()
	require.Len(t, left, 1, "two suggestions are about the same two persons by now: said once")
	require.Equal(t, []uuid.UUID{elder, third}, left[0].PersonIDs)
	again, err := w.ConfirmSuggestion(t.Context(), call, between.ID)
	require.NoError(t, err)
	require.Equal(t, omni.GraphSettled, again.State)

	w.undo(answer.ID, omni.GraphDone)
	require.Equal(t, before, w.snapshot(), "the suggestion is open again, too")

	// Told apart from one account, they are told apart from the person.
	_, err = w.DismissSuggestion(t.Context(), call, left[0].ID)
	require.NoError(t, err)
	w.merge(younger, elder)
	require.Empty(t, w.suggestions())
	require.Zero(t, w.find())
}

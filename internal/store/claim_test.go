package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// shown is a message whose sender's phone and e-mail the channel has verified.
func (w *world) shown(instance uuid.UUID, sender, id, phone, email string) omni.Envelope {
	w.seq++
	e := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now(), Seq: w.seq,
		Event: message.Inbound{ID: id, Kind: message.KindMessage, Timestamp: time.Now(), Chat: message.Chat{ID: "dm-" + sender},
			Sender:  message.Sender{ID: sender, Name: sender, Phone: phone, Email: email},
			Content: message.Content{Type: message.TypeText, Text: "hello"}}}
	e.MessageID = omni.MessageID(instance, e.ExternalKey())
	return e
}

func (w *world) show(instance uuid.UUID, sender, phone, email string) uuid.UUID {
	w.t.Helper()
	e := w.shown(instance, sender, uuid.NewString(), phone, email)
	w.record(e)
	p := w.personOf(omni.IdentityID(instance, sender))
	var of uuid.UUID
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT person_id FROM messages WHERE id = $1`, e.MessageID).Scan(&of))
	require.Equal(w.t, p, of, "the message carries the person of its account")
	return p
}

func (w *world) personOf(identity uuid.UUID) (person uuid.UUID) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), `SELECT person_id FROM identities WHERE id = $1`, identity).Scan(&person))
	require.Equal(w.t, 1, w.tally(`SELECT count(*) FROM persons WHERE id = $1`, person), "the person is there")
	return person
}

func (w *world) tally(sql string, args ...any) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.Pool().QueryRow(w.t.Context(), sql, args...).Scan(&n))
	return n
}

func (w *world) suggestions() []omni.Suggestion {
	w.t.Helper()
	s, err := w.ListSuggestions(w.t.Context(), omni.DefaultTenant, omni.SuggestionFilter{}, omni.Page{Limit: 100})
	require.NoError(w.t, err)
	return s
}

func (w *world) merges() []omni.Merge {
	w.t.Helper()
	m, err := w.ListMerges(w.t.Context(), omni.DefaultTenant, omni.MergeFilter{}, omni.Page{Limit: 100})
	require.NoError(w.t, err)
	return m
}

func TestOnePhoneIsOnePersonAcrossInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := uuid.New(), uuid.New()
	ana := w.show(a, "ana", "+55 11 98765-4321", "Ana@Example.com")
	require.Equal(t, ana, w.show(b, "5511", "5511987654321", ""), "the same number, written otherwise")
	require.Equal(t, ana, w.show(b, "mail", "", "ana@EXAMPLE.com"))
	require.NotEqual(t, ana, w.show(b, "local", "98765-4321", "not an address"), "that is no number that can be compared")
	require.NotEqual(t, w.personOf(omni.IdentityID(b, "local")), w.show(a, "local2", "98765-4321", "not an address"))
	require.Equal(t, 3, w.tally(`SELECT count(*) FROM persons`))
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM identities WHERE phone = '98765-4321' AND id = $1`, omni.IdentityID(b, "local")),
		"it is kept as it was given")
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM persons WHERE phone = '+5511987654321' AND email = 'ana@example.com' AND id = $1`, ana))

	merges := w.merges()
	require.Len(t, merges, 2)
	require.True(t, merges[1].Automatic)
	require.Equal(t, "link", merges[1].Kind)
	require.Equal(t, ana, merges[1].PersonID)
	require.InDelta(t, 0.95, merges[1].Confidence, 0.001)
	require.Equal(t, "same_phone", merges[1].Evidence[0].Reason)
	require.Equal(t, "+5511987654321", merges[1].Evidence[0].Value)
	require.Equal(t, "same_email", merges[0].Evidence[0].Reason)
	require.InDelta(t, 0.9, merges[0].Confidence, 0.001)
	require.Empty(t, w.suggestions())
}

// What an account shows is said of whoever sends it, once: repeating it costs
// and changes nothing.
func TestShowingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := uuid.New(), uuid.New()
	w.show(a, "ana", "+5511987654321", "")
	ana := w.show(b, "ana", "+5511987654321", "")
	require.Equal(t, ana, w.show(b, "ana", "+5511987654321", ""))
	calls := func(e omni.Envelope) int64 {
		began := w.Pool().Stat().AcquireCount()
		w.record(e)
		return w.Pool().Stat().AcquireCount() - began
	}
	require.EqualValues(t, 1, calls(w.shown(b, "ana", "m8", "+5511987654321", "")), "no call of the database more than without a number")
	require.EqualValues(t, 1, calls(w.shown(b, "nobody", "m9", "", "")))
	require.EqualValues(t, 2, calls(w.shown(b, "new", "m10", "+5511987650000", "")))
	before := w.tally(`SELECT count(*) FROM events WHERE type LIKE 'identity.%' AND type <> 'identity.resolved'`)
	other, err := store.Open(t.Context(), w.Pool().Config().ConnString(), 2)
	require.NoError(t, err)
	t.Cleanup(other.Close)
	require.NoError(t, other.Record(t.Context(), []omni.Envelope{w.shown(b, "ana", "again", "+55 11 987654321", "")}, 0))
	require.Equal(t, before, w.tally(`SELECT count(*) FROM events WHERE type LIKE 'identity.%' AND type <> 'identity.resolved'`))
	require.Len(t, w.merges(), 1)
}

// The events of a first message say who it is from, in order, and every one
// the same person.
func TestFirstMessageOfAKnownPersonSaysWho(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := uuid.New(), uuid.New()
	ana := w.show(a, "ana", "+5511987654321", "")
	e := w.shown(b, "ana", "m1", "+5511987654321", "")
	w.record(e)
	require.Equal(t, []string{"identity.created", "identity.linked", "message.received", "identity.resolved"}, w.story(e.MessageID))
	require.Equal(t, 4, w.tally(`SELECT count(*) FROM events WHERE correlation_id = $1 AND person_id = $2 AND data ->> 'personId' = $2::text
		AND instance_id = $3`, e.MessageID, ana, b))
}

// An account that had no number is linked once it shows one: what it had said
// is that person's, too.
func TestLateEvidenceLinksALoneAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := uuid.New(), uuid.New()
	ana := w.show(a, "ana", "+5511987654321", "")
	lone := w.show(b, "12345@lid", "", "")
	require.NotEqual(t, ana, lone)
	require.Equal(t, ana, w.show(b, "12345@lid", "+5511987654321", ""))
	require.Equal(t, 1, w.tally(`SELECT count(*) FROM persons`))
	require.Equal(t, 3, w.tally(`SELECT count(*) FROM messages WHERE person_id = $1`, ana))
	require.Equal(t, 2, w.tally(`SELECT count(*) FROM chats WHERE person_id = $1`, ana))
	m := w.merges()
	require.Len(t, m, 1)
	require.Equal(t, lone, m[0].SourcePersonID)
	w.undo(m[0].ID, omni.GraphDone)
	require.Equal(t, lone, w.personOf(omni.IdentityID(b, "12345@lid")))
	require.Equal(t, 2, w.tally(`SELECT count(*) FROM messages WHERE person_id = $1`, lone), "with what came since")
	require.Equal(t, lone, w.show(b, "12345@lid", "+55 11 98765 4321", ""), "somebody decided: evidence does not move it again")
}

// Doubt is for people: everything that may be wrong is a suggestion, once.
func TestDoubtfulEvidenceIsSuggested(t *testing.T) {
	t.Parallel()
	const phone, other = "+5511987654321", "+5511987650000"
	a, b := uuid.New(), uuid.New()
	for name, happens := range map[string]func(w *world) (one, two uuid.UUID){
		"both have other accounts": func(w *world) (uuid.UUID, uuid.UUID) {
			ana := w.show(a, "ana", phone, "")
			w.show(a, "bob", "", "bob@example.com")
			bob := w.show(b, "bob", "", "bob@example.com")
			require.Equal(w.t, bob, w.show(b, "bob", phone, "bob@example.com"))
			return ana, bob
		},
		"the number has changed": func(w *world) (uuid.UUID, uuid.UUID) {
			ana := w.show(a, "ana", phone, "")
			bob := w.show(b, "bob", other, "")
			require.Equal(w.t, bob, w.show(b, "bob", phone, ""))
			return ana, bob
		},
		"one address, two numbers": func(w *world) (uuid.UUID, uuid.UUID) {
			ana := w.show(a, "ana", phone, "family@example.com")
			return ana, w.show(b, "bob", other, "family@example.com")
		},
		"the address says another than the number": func(w *world) (uuid.UUID, uuid.UUID) {
			ana := w.show(a, "ana", phone, "")
			bob := w.show(a, "bob", "", "bob@example.com")
			require.Equal(w.t, ana, w.show(b, "x", phone, "bob@example.com"))
			return ana, bob
		},
		"somebody has taken them apart": func(w *world) (uuid.UUID, uuid.UUID) {
			ana := w.show(a, "ana", phone, "")
			require.Equal(w.t, ana, w.show(b, "bob", phone, ""))
			w.unlink(omni.IdentityID(b, "bob"))
			bob := w.personOf(omni.IdentityID(b, "bob"))
			require.Equal(w.t, bob, w.show(b, "bob", phone, "new@example.com"))
			return ana, bob
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			one, two := happens(w)
			require.NotEqual(t, one, two)
			s := w.suggestions()
			require.Len(t, s, 1)
			require.ElementsMatch(t, []uuid.UUID{one, two}, s[0].PersonIDs)
			require.Equal(t, 1, w.tally(`SELECT count(*) FROM events WHERE type = 'identity.suggested'`))

			answer, err := w.DismissSuggestion(t.Context(), call, s[0].ID)
			require.NoError(t, err)
			require.Equal(t, omni.GraphDone, answer.State)
			w.exec(`DELETE FROM identity_evidence WHERE identity_id = $1`, omni.IdentityID(b, "bob"))
			fresh, err := store.Open(t.Context(), w.Pool().Config().ConnString(), 2)
			require.NoError(t, err)
			t.Cleanup(fresh.Close)
			require.NoError(t, fresh.Record(t.Context(), []omni.Envelope{w.shown(b, "bob", "again", phone, "")}, 0))
			require.Empty(t, w.suggestions(), "it does not come back")
		})
	}
}

// A third account of a number that two persons have is neither's.
func TestTwoPersonsOfOneNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b, c := uuid.New(), uuid.New(), uuid.New()
	w.show(a, "x", "+5511987654321", "")
	w.show(b, "x", "+5511987654321", "")
	w.unlink(omni.IdentityID(b, "x"))
	w.show(c, "x", "+5511987654321", "")
	require.Equal(t, 3, w.tally(`SELECT count(*) FROM persons`))
	require.Len(t, w.suggestions(), 2, "with each of them; those two were told apart")
}

// However many processes hear of somebody at once, on whatever instance and in
// whatever order of a batch: there is one person, and nobody waits for another
// for ever.
func TestConcurrentFirstMessagesMakeOnePerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const processes, people, instances = 4, 12, 5
	ids := make([]uuid.UUID, instances)
	for i := range ids {
		ids[i] = uuid.New()
	}
	phone := func(n int) string { return fmt.Sprintf("+55119876500%02d", n) }
	var wg sync.WaitGroup
	for p := range processes {
		st, err := store.Open(t.Context(), w.Pool().Config().ConnString(), 2)
		require.NoError(t, err)
		t.Cleanup(st.Close)
		var batches [][]omni.Envelope
		for n := range people {
			var batch []omni.Envelope
			for i := range ids {
				who := (n*7 + i*3 + p*5) % people // another order in each process
				if p%2 == 1 {
					who = people - 1 - who
				}
				batch = append(batch, w.shown(ids[i], fmt.Sprint("u", who), fmt.Sprint("m", p, "-", n), phone(who), fmt.Sprintf("u%d@example.com", who)))
			}
			batches = append(batches, batch)
		}
		wg.Go(func() {
			for _, b := range batches {
				if err := st.Record(t.Context(), b, 0); err != nil {
					t.Errorf("recording: %v", err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, people, w.tally(`SELECT count(*) FROM persons`))
	require.Equal(t, people*instances, w.tally(`SELECT count(*) FROM identities`))
	require.Zero(t, w.tally(`SELECT count(*) FROM (SELECT phone FROM identities GROUP BY phone HAVING count(DISTINCT person_id) > 1) x`))
	require.Zero(t, w.tally(`SELECT count(*) FROM messages m JOIN identities i ON i.id = m.identity_id WHERE m.person_id <> i.person_id`))
	require.Equal(t, people*instances, w.tally(`SELECT count(*) FROM events WHERE type = 'identity.created'`))
}

// A tenant's evidence says nothing about another tenant's accounts.
func TestEvidenceStaysWithItsTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.shown(uuid.New(), "ana", "m1", "+5511987654321", "ana@example.com")
	f := w.shown(uuid.New(), "ana", "m2", "+5511987654321", "ana@example.com")
	f.TenantID = "other"
	w.record(e, f)
	require.Equal(t, 2, w.tally(`SELECT count(*) FROM persons`))
	require.Empty(t, w.suggestions())
}

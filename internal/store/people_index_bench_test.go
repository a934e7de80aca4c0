package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// BenchmarkIndexesOfPeople tells what each index that people need costs the
// recorder: batches of messages, of known senders and of new accounts, are
// recorded with all indexes and without each in turn:
//
//	go test ./internal/store -run '^$' -bench IndexesOfPeople -benchtime 1x
func BenchmarkIndexesOfPeople(b *testing.B) {
	st, _ := benchStore(b, "nothing")
	instance := uuid.New()
	const rounds, batches, size = 5, 20, 50
	took := map[string][]time.Duration{}
	n := 0
	for b.Loop() {
		for range rounds {
			for _, without := range []string{"", "messages_person", "identities_username, identities_name", "persons_name, persons_recent",
				"persons_search, identities_search"} {
				back := dropIndexes(b, st, without)
				for _, fresh := range []bool{false, true} {
					began := time.Now()
					for range batches {
						require.NoError(b, st.Record(b.Context(), crowdOf(instance, size, &n, fresh), 0))
					}
					name := fmt.Sprintf("%s without %q", map[bool]string{false: "a message", true: "a new account"}[fresh], without)
					took[name] = append(took[name], time.Since(began)/(batches*size))
				}
				back()
			}
		}
	}
	for name, all := range took {
		slices.Sort(all)
		b.Logf("%s: %v", name, all[len(all)/2])
	}
}

// crowdOf is a batch of messages, each of another sender.
func crowdOf(instance uuid.UUID, size int, n *int, fresh bool) []omni.Envelope {
	out := make([]omni.Envelope, size)
	for i := range out {
		*n++
		sender := fmt.Sprint("known", i)
		if fresh {
			sender = fmt.Sprint("new", *n)
		}
		e := omni.Envelope{TenantID: omni.DefaultTenant, InstanceID: instance, Channel: "custom", ReceivedAt: time.Now(),
			Event: message.Inbound{ID: fmt.Sprint(*n), Kind: message.KindMessage, Timestamp: time.Now(), Chat: message.Chat{ID: "c" + sender},
				Sender:  message.Sender{ID: sender, Name: "Maria Souza " + sender, Username: "user_" + sender},
				Content: message.Content{Type: message.TypeText, Text: "hello there"}}}
		e.MessageID = omni.MessageID(instance, e.ExternalKey())
		out[i] = e
	}
	return out
}

// dropIndexes drops indexes, until what it returns is called.
func dropIndexes(b *testing.B, st *store.Store, names string) (back func()) {
	b.Helper()
	if names == "" {
		return func() {}
	}
	var defs []string
	require.NoError(b, st.Pool().QueryRow(b.Context(), `SELECT array_agg(indexdef) FROM pg_indexes WHERE indexname = ANY (string_to_array($1, ', '))`, names).Scan(&defs))
	_, err := st.Pool().Exec(b.Context(), "DROP INDEX "+names)
	require.NoError(b, err)
	return func() {
		for _, def := range defs {
			_, err := st.Pool().Exec(b.Context(), def)
			require.NoError(b, err)
		}
	}
}

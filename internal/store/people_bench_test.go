package store_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// manyPeople is how many identities, persons and messages BenchmarkPeople has.
var manyPeople = flag.Int("people", 1_000_000, "how many persons, with an account and a message each, BenchmarkPeople fills in")

// town fills a database with n persons of 400 names, an account and a message
// each; one person has a tenth of all messages more. Indexes are made after the
// rows, as a restore does.
func town(ctx context.Context, st *store.Store, n int) error {
	var indexes []string
	rows, err := st.Pool().Query(ctx, `SELECT indexname, indexdef FROM pg_indexes
		WHERE schemaname = 'public' AND tablename IN ('persons', 'identities', 'messages') AND indexname NOT LIKE '%key'`)
	if err != nil {
		return err
	}
	drops := []string{}
	var name, def string
	if _, err := pgx.ForEachRow(rows, []any{&name, &def}, func() error {
		if !strings.HasSuffix(name, "_pkey") {
			indexes, drops = append(indexes, def), append(drops, "DROP INDEX "+name)
		}
		return nil
	}); err != nil {
		return err
	}
	fill := []string{
		`CREATE TABLE town AS SELECT i, md5('i' || i)::uuid AS account, md5('p' || i)::uuid AS person, md5('c' || i)::uuid AS chat,
			md5('n' || i % 4)::uuid AS instance,
			(ARRAY['Ana','Maria','José','João','Luís','Pedro','Paula','Carla','Bea','Miguel','Sofia','Lucas','Mateus','Laura','Clara','Hugo','Inês','Rui','Tiago','Marta'])[1 + i % 20]
			|| ' ' || (ARRAY['Silva','Souza','Costa','Pereira','Oliveira','Almeida','Ferreira','Gomes','Martins','Araújo','Ribeiro','Carvalho','Melo','Barbosa','Rocha','Dias','Nunes','Mendes','Freitas','Lopes'])[1 + i / 20 % 20]
			|| ' ' || i AS name,
			CASE WHEN i % 3 = 0 THEN '+55119' || lpad(i::text, 8, '0') ELSE '' END AS phone,
			CASE WHEN i % 5 = 0 THEN 'user' || i || '@example.com' ELSE '' END AS email,
			timestamptz '2026-01-01' + i * interval '10 s' AS at
		 FROM generate_series(1, $1::int) i`,
		`INSERT INTO persons (tenant_id, id, display_name, phone, email, created_at) SELECT 'default', person, name, phone, email, at FROM town WHERE $1::int > 0`,
		`INSERT INTO identities (tenant_id, id, instance_id, channel, platform_user_id, person_id, name, username, phone, email)
		 SELECT 'default', account, instance, 'custom', 'u' || i, person, name, CASE WHEN i % 2 = 0 THEN 'user_' || i ELSE '' END, phone, email FROM town WHERE $1::int > 0`,
		`INSERT INTO messages (tenant_id, id, instance_id, channel, chat_id, person_id, identity_id, direction, content, text, status, created_at)
		 SELECT 'default', md5('m' || i)::uuid, instance, 'custom', chat, CASE WHEN i % 10 = 0 THEN md5('p7')::uuid ELSE person END, account,
		        CASE WHEN i % 2 = 0 THEN 'inbound' ELSE 'outbound' END, '{"type": "text", "text": "hello there"}', 'hello there', 'ignored', at
		 FROM town WHERE $1::int > 0`,
	}
	for _, sql := range drops {
		if _, err := st.Pool().Exec(ctx, sql); err != nil {
			return err
		}
	}
	for _, sql := range fill {
		if _, err := st.Pool().Exec(ctx, sql, n); err != nil {
			return fmt.Errorf("%s: %w", sql[:40], err)
		}
	}
	for _, sql := range append(indexes, "VACUUM ANALYZE") {
		if _, err := st.Pool().Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// BenchmarkPeople prints how long searches and timelines take among a million
// persons and messages, beside a bare indexed select:
//
//	go test ./internal/store -run '^$' -bench People -benchtime 1x -timeout 30m
func BenchmarkPeople(b *testing.B) {
	ctx := b.Context()
	st, filled := benchStore(b, "town")
	if !filled {
		began := time.Now()
		require.NoError(b, town(ctx, st, *manyPeople))
		b.Logf("%d persons took %s to fill in", *manyPeople, time.Since(began).Round(time.Second))
	}
	search := func(q string) func(int) error {
		return func(i int) error {
			_, _, err := st.SearchPersons(ctx, omni.DefaultTenant, omni.PersonFilter{Query: strings.ReplaceAll(q, "%", fmt.Sprint(1+i*7919%*manyPeople))}, nil, 50)
			return err
		}
	}
	someone := func(i int) uuid.UUID {
		var id uuid.UUID
		require.NoError(b, st.Pool().QueryRow(ctx, `SELECT md5('p' || $1::int)::uuid`, 1+i*7919%*manyPeople).Scan(&id))
		return id
	}
	var busy uuid.UUID
	require.NoError(b, st.Pool().QueryRow(ctx, `SELECT md5('p7')::uuid`).Scan(&busy))
	timeline := func(id uuid.UUID, f omni.TimelineFilter, after *omni.Key) error {
		_, err := st.Timeline(ctx, omni.DefaultTenant, id, f, omni.Page{Limit: 51, After: after})
		return err
	}
	deep := &omni.Key{At: time.Date(2026, time.February, 1, 0, 0, 0, 0, time.UTC), ID: uuid.New()}
	for _, c := range []struct {
		what string
		fn   func(int) error
	}{
		{"bare indexed select of one message", func(i int) error {
			_, err := st.Pool().Exec(ctx, `SELECT * FROM messages WHERE id = $1`, someone(i))
			return err
		}},
		{"search a full name (`Maria Souza 4711`)", search("maria souza %")},
		{"search a phone with formatting", search("+55 (11) 9 %")},
		{"search a username", search("@user_%")},
		{"search an e-mail", search("user%@example.com")},
		{"search a platform id", search("u%")},
		{"search two names that 2,500 have (`ines araujo`)", search("ines araujo")},
		{"search a name that 50,000 have (`maria`)", search("maria")},
		{"search a part that 150,000 have (`mar`)", search("mar")},
		{"search two letters (`jo`)", search("jo")},
		{"search what nobody has", search("zzyzx%")},
		{"timeline of somebody", func(i int) error { return timeline(someone(i), omni.TimelineFilter{}, nil) }},
		{"timeline of somebody with a tenth of all messages", func(int) error { return timeline(busy, omni.TimelineFilter{}, nil) }},
		{"the same, far back", func(int) error { return timeline(busy, omni.TimelineFilter{}, deep) }},
		{"the same, inbound only", func(int) error { return timeline(busy, omni.TimelineFilter{Direction: "inbound"}, nil) }},
	} {
		took := make([]time.Duration, 0, 200)
		for i := range cap(took) + 10 {
			at := time.Now()
			require.NoError(b, c.fn(i))
			if i >= 10 { // the first ones prepare the statement
				took = append(took, time.Since(at))
			}
		}
		slices.Sort(took)
		report(b, c.what, took)
	}
}

// report prints a line of the table of docs/performance.md.
func report(b *testing.B, what string, sorted []time.Duration) {
	b.Helper()
	ms := func(p float64) float64 {
		return float64(sorted[min(int(p*float64(len(sorted))), len(sorted)-1)].Microseconds()) / 1000
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	_, err := fmt.Fprintf(w, "| %s | %.1f ms | %.1f ms |\n", what, ms(0.5), ms(0.99))
	require.NoError(b, err)
	require.NoError(b, w.Flush())
}

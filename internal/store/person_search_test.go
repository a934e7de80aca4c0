package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store"
)

// crowd makes n persons with an account each, one a second: names are made of
// the pattern, in which % is the number.
func crowd(t *testing.T, st *store.Store, n int, name string) (instance uuid.UUID) {
	t.Helper()
	instance = uuid.New()
	for _, sql := range []string{
		`INSERT INTO persons (tenant_id, id, display_name, created_at)
		 SELECT 'default', md5($2 || 'p' || i)::uuid, replace($2, '%', i::text), timestamptz '2026-01-01' + i * interval '1 s' FROM generate_series(1, $3::int) i WHERE $1::uuid IS NOT NULL`,
		`INSERT INTO identities (tenant_id, id, instance_id, channel, platform_user_id, person_id, name)
		 SELECT 'default', md5($2 || 'i' || i)::uuid, $1, 'custom', $2 || i, md5($2 || 'p' || i)::uuid, replace($2, '%', i::text) FROM generate_series(1, $3::int) i`,
	} {
		_, err := st.Pool().Exec(t.Context(), sql, instance, name, n)
		require.NoError(t, err)
	}
	return instance
}

// searchAll follows a search to its end.
func searchAll(t *testing.T, st *store.Store, f omni.PersonFilter, limit int) []string {
	t.Helper()
	var names []string
	var after *omni.RankedKey
	for {
		found, next, err := st.SearchPersons(t.Context(), omni.DefaultTenant, f, after, limit)
		require.NoError(t, err)
		for _, p := range found {
			names = append(names, p.DisplayName)
		}
		if next == nil {
			return names
		}
		again, err := omni.ParseRankedCursor(next.Cursor())
		require.NoError(t, err)
		require.Equal(t, next.Rank, again.Rank)
		require.True(t, next.At.Equal(again.At) && next.ID == again.ID)
		after = next
	}
}

func TestSearchTellsOfThousandsThatFit(t *testing.T) {
	t.Parallel()
	st := openStore(t)
	crowd(t, st, 3000, "Smith %")
	crowd(t, st, 500, "Jones %")
	exact := crowd(t, st, 3, "Smith")

	all := searchAll(t, st, omni.PersonFilter{Query: "smith"}, 100)
	require.Len(t, all, 3003, "nobody is left out")
	require.Equal(t, []string{"Smith", "Smith", "Smith", "Smith 3000", "Smith 2999"}, all[:5])
	require.Equal(t, all, searchAll(t, st, omni.PersonFilter{Query: "smith"}, 1000), "however it is cut into pages")
	require.Equal(t, []string{"Smith", "Smith", "Smith"}, searchAll(t, st, omni.PersonFilter{Query: "smith", Within: []uuid.UUID{exact}}, 2))
	require.Equal(t, []string{"Smith 77"}, searchAll(t, st, omni.PersonFilter{Query: "SMITH 77 "}, 100)[:1])
	require.Len(t, searchAll(t, st, omni.PersonFilter{Query: "mith"}, 100), 3003)
	require.Len(t, searchAll(t, st, omni.PersonFilter{Query: "s"}, 100), 3003)
	// One by one, the exact ones end exactly with a page.
	require.Equal(t, all[:7], firstOf(t, st, "smith", 1, 7))
	require.Equal(t, all[:6], firstOf(t, st, "smith", 3, 6))
}

// firstOf reads pages until there are n names.
func firstOf(t *testing.T, st *store.Store, q string, limit, n int) (names []string) {
	t.Helper()
	var after *omni.RankedKey
	for len(names) < n {
		found, next, err := st.SearchPersons(t.Context(), omni.DefaultTenant, omni.PersonFilter{Query: q}, after, limit)
		require.NoError(t, err)
		for _, p := range found {
			names = append(names, p.DisplayName)
		}
		after = next
	}
	return names
}

func TestANameLongerThanAnIndexKeyIsKept(t *testing.T) {
	t.Parallel()
	st := openStore(t)
	long := strings.Repeat("\ufdfa", 341) // one of these folds to ninety characters
	in := envelope(uuid.New(), message.KindMessage, "1", 1)
	in.Event.Sender.Name = long
	require.NoError(t, st.Record(t.Context(), []omni.Envelope{in}, 0))
	require.Equal(t, []string{long}, searchAll(t, st, omni.PersonFilter{Query: "\ufdfa"}, 10))
}

// explained is the plan that a statement has for whatever it is asked.
func explained(t *testing.T, st *store.Store, sql string, args []any) string {
	t.Helper()
	literals := make([]string, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case int:
			literals[i] = strconv.Itoa(v)
		case time.Time:
			literals[i] = "'" + v.Format(time.RFC3339Nano) + "'"
		default:
			literals[i] = "'" + strings.ReplaceAll(fmt.Sprint(v), "'", "''") + "'"
		}
	}
	conn, err := st.Pool().Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), "PREPARE explained AS "+sql)
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), "EXPLAIN EXECUTE explained("+strings.Join(literals, ", ")+")")
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "DEALLOCATE explained")
	require.NoError(t, err)
	return strings.Join(plan, "\n")
}

func TestPeopleAreReadThroughIndexes(t *testing.T) {
	t.Parallel()
	st := openStore(t)
	instance := crowd(t, st, 10_000, "Walker %")
	for _, sql := range []string{
		`INSERT INTO chats (tenant_id, id, instance_id, channel, external_id, person_id)
		 SELECT 'default', md5('c' || i)::uuid, $1, 'custom', i::text, md5('Walker %p' || i)::uuid FROM generate_series(1, 1000) i`,
		`INSERT INTO messages (tenant_id, id, instance_id, channel, chat_id, person_id, direction, content, status)
		 SELECT 'default', gen_random_uuid(), $1, 'custom', md5('c' || i % 1000)::uuid, CASE WHEN i % 3 > 0 THEN md5('Walker %p' || i % 1000)::uuid END,
		        'inbound', '{}', 'ignored' FROM generate_series(1, 10000) i`,
	} {
		_, err := st.Pool().Exec(t.Context(), sql, instance)
		require.NoError(t, err)
	}
	_, err := st.Pool().Exec(t.Context(), `VACUUM ANALYZE`)
	require.NoError(t, err)
	for name, want := range map[string][]string{
		"timeline": {"messages_person", "messages_nobodys", "chats_person"},
		"ranked":   {"persons_search", "identities_search"},
		"exact":    {"persons_name"},
		"scan":     {"persons_recent", "identities_person"},
	} {
		sql, args := st.PeopleStatement(t.Context(), name, "walker 77")
		plan := explained(t, st, sql, args)
		for _, index := range want {
			require.Contains(t, plan, index, "%s:\n%s", name, plan)
		}
		require.NotRegexp(t, `Seq Scan on (persons|identities|messages|chats)`, plan, name)
	}
}

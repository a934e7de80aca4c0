package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Every row says whose it is, and no row can forget to.
func TestEveryTableSaysWhoseItsRowsAre(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	rows, err := s.Pool().Query(t.Context(), `
		SELECT t.table_name::text,
			CASE WHEN c.column_name IS NULL THEN 'none' WHEN c.is_nullable = 'YES' THEN 'nullable'
			     WHEN c.column_default IS NOT NULL THEN 'has a default' ELSE 'required' END
		FROM information_schema.tables t
		LEFT JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.column_name = 'tenant_id'
		WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Tenant string }])
	require.NoError(t, err)
	require.Greater(t, len(tables), 15)
	// The hub's own: places in streams, what was migrated, and the tenants themselves.
	hubs := []string{"goose_db_version", "ingest_floor", "relay_cursor", "suggestion_cursor", "tenants"}
	for _, table := range tables {
		if !slices.Contains(hubs, table.Name) {
			require.Equal(t, "required", table.Tenant, "tenant_id of %s", table.Name)
		}
	}
}

// What must be unique is so within a tenant: by its name, or by an id that is
// one tenant's. Otherwise one tenant's value would keep another from using it.
func TestNothingIsUniqueAcrossTenants(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	rows, err := s.Pool().Query(t.Context(), `
		SELECT c.relname::text, i.relname::text,
			array_agg(a.attname::text ORDER BY a.attnum), bool_or(a.attname = 'tenant_id' OR a.atttypid = 'uuid'::regtype)
		FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
		JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey)
		WHERE x.indisunique GROUP BY 1, 2`)
	require.NoError(t, err)
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Table, Index string
		Columns      []string
		Apart        bool
	}])
	require.NoError(t, err)
	require.Greater(t, len(indexes), 10)
	for _, x := range indexes {
		switch x.Table {
		case "goose_db_version", "ingest_floor", "relay_cursor", "suggestion_cursor", "tenants":
			continue
		}
		if x.Index == "api_keys_hash_key" {
			continue // a key is what tells the tenant
		}
		require.True(t, x.Apart, "%s (%s) is unique across tenants", x.Index, strings.Join(x.Columns, ", "))
	}
}

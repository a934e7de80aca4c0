package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// database looks at the hub's Postgres from outside of the hub.
type database struct {
	pool *pgxpool.Pool
	own  atomic.Int64 // our own transactions in the database omni
}

// statsWait is how long an idle backend of Postgres may keep its counts to
// itself (PGSTAT_IDLE_INTERVAL), and a little.
const statsWait = 10500 * time.Millisecond

func openDatabase(ctx context.Context, url string) (*database, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("opening the hub's database: %w", err)
	}
	return &database{pool: pool}, nil
}

// commits counts committed transactions, after the backends have reported.
type commits struct{ omni, temporal int64 }

func (d *database) commits(ctx context.Context) (commits, error) {
	select {
	case <-time.After(statsWait):
	case <-ctx.Done():
		return commits{}, ctx.Err()
	}
	var c commits
	err := d.pool.QueryRow(ctx, `SELECT
		coalesce(sum(xact_commit) FILTER (WHERE datname = 'omni'), 0)::bigint,
		coalesce(sum(xact_commit) FILTER (WHERE datname LIKE 'temporal%'), 0)::bigint
		FROM pg_stat_database`).Scan(&c.omni, &c.temporal)
	if err != nil {
		return c, fmt.Errorf("counting transactions: %w", err)
	}
	c.omni -= d.own.Add(1) - 1
	return c, nil
}

// awaitRows waits until every one of the messages can be read.
func (d *database) awaitRows(ctx context.Context, ids []uuid.UUID) error {
	for {
		var n int
		d.own.Add(1)
		if err := d.pool.QueryRow(ctx, `SELECT count(*) FROM messages WHERE id = ANY($1)`, ids).Scan(&n); err != nil {
			return fmt.Errorf("looking for messages: %w", err)
		}
		if n == len(ids) {
			return nil
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// resetStatements forgets what statements have cost so far.
func (d *database) resetStatements(ctx context.Context) error {
	for _, sql := range []string{`CREATE EXTENSION IF NOT EXISTS pg_stat_statements`, `SELECT pg_stat_statements_reset()`} {
		if _, err := d.pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("asking for the cost of statements: %w", err)
		}
	}
	return nil
}

// statements lists what Postgres spent its time on, per message.
func (d *database) statements(ctx context.Context, messages int) (string, error) {
	rows, err := d.pool.Query(ctx, `SELECT datname, calls, plans, total_exec_time, total_plan_time, shared_blks_hit, wal_bytes::bigint, regexp_replace(query, '\s+', ' ', 'g')
		FROM pg_stat_statements s JOIN pg_database ON pg_database.oid = dbid
		ORDER BY total_exec_time + total_plan_time DESC LIMIT 60`)
	if err != nil {
		return "", fmt.Errorf("asking for the cost of statements: %w", err)
	}
	defer rows.Close()
	var out strings.Builder
	n := float64(messages)
	for rows.Next() {
		var name, query string
		var calls, plans, hits, wal int64
		var took, planned float64
		if err := rows.Scan(&name, &calls, &plans, &took, &planned, &hits, &wal, &query); err != nil {
			return "", fmt.Errorf("asking for the cost of statements: %w", err)
		}
		fmt.Fprintf(&out, "%8.3f ms/msg %7.2f calls/msg %7.3f ms planning/msg %5.2f plans/msg %7.1f blocks/msg %8.0f WAL bytes/msg  %-20s %.160s\n",
			took/n, float64(calls)/n, planned/n, float64(plans)/n, float64(hits)/n, float64(wal)/n, name, query)
	}
	return out.String(), rows.Err()
}

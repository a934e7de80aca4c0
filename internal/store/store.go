package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/maypok86/otter/v2"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// Store is the database. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	q    *dbsqlc.Queries
	box  Sealer // nil: rows with secrets can be neither written nor read

	rerouted func(ctx context.Context, instance uuid.UUID) // see OnRerouted
	together *together                                     // the calls of the hot path

	nudge    chan struct{}                                 // see Nudge
	batches  *otter.Cache[batchKey, []byte]                // see TurnBatch
	inbound  *otter.Cache[uuid.UUID, *omni.InboundMessage] // see InboundMessage
	contacts *otter.Cache[uuid.UUID, contact]              // see claim
	rules    *otter.Cache[uuid.UUID, knownRule]            // see accessRules
}

// Open connects to Postgres and checks that it answers. maxConns ≤ 0 leaves
// the size of the pool to pgx (or to pool_max_conns in the URL).
func Open(ctx context.Context, url string, maxConns int32) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading DATABASE_URL: %w", err)
	}
	if maxConns > 0 {
		cfg.MaxConns = maxConns
	}
	// Every statement is prepared and looks rows up by key: planning it again
	// for each call would cost more than running it.
	for name, value := range map[string]string{"plan_cache_mode": "force_generic_plan", "jit": "off"} {
		if _, set := cfg.ConnConfig.RuntimeParams[name]; !set {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the Postgres pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reaching Postgres: %w", err)
	}
	return &Store{
		pool: pool, q: dbsqlc.New(pool), together: newTogether(pool), nudge: make(chan struct{}, 1),
		batches:  otter.Must(&otter.Options[batchKey, []byte]{MaximumSize: 4096}),
		inbound:  otter.Must(&otter.Options[uuid.UUID, *omni.InboundMessage]{MaximumSize: 4096}),
		contacts: otter.Must(&otter.Options[uuid.UUID, contact]{MaximumSize: 65536}),
		rules:    otter.Must(&otter.Options[uuid.UUID, knownRule]{MaximumSize: 16384}),
	}, nil
}

// Close waits for running queries and closes the pool.
func (s *Store) Close() { s.pool.Close() }

// OnRerouted has fn called with each instance whose agents' routes became
// another person's because evidence said who they are: whoever keeps routes in
// memory should read them again. To be called before use.
func (s *Store) OnRerouted(fn func(ctx context.Context, instance uuid.UUID)) { s.rerouted = fn }

// Pool gives the pool to tests and to the health check.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping reports whether Postgres answers.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// inTx runs fn in a transaction that commits when fn returns nil.
func (s *Store) inTx(ctx context.Context, fn func(pgx.Tx, *dbsqlc.Queries) error) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return fn(tx, s.q.WithTx(tx)) })
	if err == nil {
		s.Nudge() // most of them write events
	}
	return err
}

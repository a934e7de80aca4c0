package temporald

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/schema/postgresql/v12"
	sqltool "go.temporal.io/server/tools/sql"

	toolschema "go.temporal.io/server/tools/common/schema"
)

// schemaDir is where the server's module keeps the schema of our plugin.
const schemaDir = "postgresql/v12"

// database is one of the two that a Temporal server needs.
type database struct {
	name    string // in Postgres
	schema  string // below schemaDir
	version string // that this server works with
}

func (o Options) databases() (main, visibility database) {
	return database{o.Database, "temporal", v12.Version},
		database{o.Database + "_visibility", "visibility", v12.VisibilityVersion}
}

// prepareSchema makes the databases if they are missing and brings their
// schema to what this server works with.
func prepareSchema(ctx context.Context, options Options, logger log.Logger) error {
	main, visibility := options.databases()
	if err := createDatabases(ctx, options.DatabaseURL, main.name, visibility.name); err != nil {
		return err
	}
	for _, db := range []database{main, visibility} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := upgrade(ctx, options, db, logger); err != nil {
			return fmt.Errorf("upgrading the schema of database %s: %w", db.name, err)
		}
	}
	return dropIndexes(ctx, options)
}

// codeDuplicateDatabase is Postgres's error for a database that exists: made
// by somebody else since we looked.
const codeDuplicateDatabase = "42P04"

func createDatabases(ctx context.Context, url string, names ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("reaching Postgres: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, name := range names {
		var exists bool
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
		if err != nil {
			return fmt.Errorf("looking for database %s: %w", name, err)
		}
		if exists {
			continue
		}
		_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && pgErr.Code == codeDuplicateDatabase {
			continue
		}
		if err != nil {
			return fmt.Errorf("making database %s for the embedded Temporal: %w", name, err)
		}
	}
	return nil
}

func upgrade(ctx context.Context, options Options, db database, logger log.Logger) error {
	conn, err := sqltool.NewConnection(options.sqlConfig(db.name, 1), logger)
	if err != nil {
		return err
	}
	defer conn.Close()
	current, err := conn.ReadSchemaVersion()
	if err != nil {
		// The version table is missing: the database is new.
		setup := &toolschema.SetupConfig{InitialVersion: "0.0"}
		if err := toolschema.NewSetupSchemaTask(conn, setup, logger).Run(); err != nil {
			return err
		}
	}
	if strings.TrimPrefix(current, "v") == db.version {
		return nil
	}
	if err := restoreIndexes(ctx, options); err != nil {
		return err
	}
	update := &toolschema.UpdateConfig{DBName: db.name, SchemaName: path.Join(schemaDir, db.schema)}
	return toolschema.NewUpdateSchemaTask(conn, update, logger).Run()
}

// pluginName is Temporal's name for Postgres through pgx.
const pluginName = postgresql.PluginNamePGX

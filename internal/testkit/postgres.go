package testkit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql

	"github.com/omnihub/omni/migrations"
)

const adminTimeout = 60 * time.Second

// Postgres returns the URL of a fresh database with the whole schema. The
// database is dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	return database(t, ensureTemplate)
}

// EmptyPostgres returns the URL of a fresh database without any schema.
func EmptyPostgres(t testing.TB) string {
	t.Helper()
	return database(t, func(context.Context, *sharedCluster, *pgx.Conn) (string, error) { return "template0", nil })
}

func database(t testing.TB, templateFunc func(context.Context, *sharedCluster, *pgx.Conn) (string, error)) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	cluster, err := shared(ctx)
	if err != nil {
		t.Fatalf("starting the tests' Postgres: %v", err)
	}
	admin, err := pgx.Connect(ctx, cluster.url("postgres"))
	if err != nil {
		t.Fatalf("connecting to the tests' Postgres: %v", err)
	}
	defer func() { _ = admin.Close(ctx) }()
	template, err := templateFunc(ctx, cluster, admin)
	if err != nil {
		t.Fatalf("making the template database: %v", err)
	}
	name := "test_" + strings.ToLower(rand.Text()[:16])
	if _, err := admin.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template)); err != nil {
		t.Fatalf("making the test's database: %v", err)
	}
	t.Cleanup(func() { drop(t, cluster, name) })
	return cluster.url(name)
}

func drop(t testing.TB, cluster *sharedCluster, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	admin, err := pgx.Connect(ctx, cluster.url("postgres"))
	if err != nil {
		t.Logf("connecting to drop %s: %v", name, err)
		return
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name)); err != nil {
		t.Logf("dropping %s: %v", name, err)
	}
}

// ensureTemplate returns the name of a database with today's schema: named for
// the content of the migrations, made once per server.
func ensureTemplate(ctx context.Context, cluster *sharedCluster, admin *pgx.Conn) (string, error) {
	sum, err := migrationsHash()
	if err != nil {
		return "", err
	}
	name := "template_" + hex.EncodeToString(sum[:8])
	if exists, err := databaseExists(ctx, admin, name); exists || err != nil {
		return name, err
	}
	// One process makes it; the others wait here and then find it.
	if _, err := admin.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
		return "", err
	}
	if exists, err := databaseExists(ctx, admin, name); exists || err != nil {
		return name, err
	}
	unfinished := name + "_unfinished"
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + unfinished + " WITH (FORCE)",
		"CREATE DATABASE " + unfinished + " TEMPLATE template0",
	} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return "", err
		}
	}
	if err := migrate(ctx, cluster.url(unfinished)); err != nil {
		return "", err
	}
	// Renamed only when complete, so that its existence means it is usable.
	_, err = admin.Exec(ctx, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", unfinished, name))
	return name, err
}

func databaseExists(ctx context.Context, admin *pgx.Conn, name string) (bool, error) {
	var exists bool
	err := admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	return exists, err
}

func migrate(ctx context.Context, url string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = migrations.Up(ctx, db)
	return err
}

func migrationsHash() ([sha256.Size]byte, error) {
	digest := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := migrations.FS.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(digest, "%s %d\n%s", path, len(content), content)
		return err
	})
	return [sha256.Size]byte(digest.Sum(nil)), err
}

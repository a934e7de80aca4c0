package temporald

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/iancoleman/strcase"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"go.temporal.io/server/common/config"
)

// Connections to the databases, of each of the four services. What is idle
// costs Postgres little, what must be opened costs the message that waits.
const (
	mainConns       = 16
	visibilityConns = 6
)

// Options configure a Server.
type Options struct {
	DatabaseURL string // of any database on the Postgres server
	Database    string // name of Temporal's own; "_visibility" is appended for the second
	Port        int    // of the frontend, on loopback; 0 takes a free one
	UIPort      int    // of the web UI, on loopback; 0 takes a free one
	Namespace   string // that the UI opens with
	Log         *slog.Logger
}

// sqlConfig lets the plugin connect the way DatabaseURL says: Unix sockets,
// TLS and all, which the plugin's own settings can only say in part.
func (o Options) sqlConfig(name string, conns int) *config.SQL {
	return &config.SQL{
		PluginName: pluginName, DatabaseName: name,
		// Required by validation, unused because of Connect.
		ConnectAddr: "unused", ConnectProtocol: "tcp",
		MaxConns: conns, MaxIdleConns: conns,
		Connect: func(cfg *config.SQL) (*sqlx.DB, error) { return connect(o.DatabaseURL, cfg) },
	}
}

func connect(url string, cfg *config.SQL) (*sqlx.DB, error) {
	parsed, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	parsed.Database = cfg.DatabaseName
	db := sqlx.NewDb(stdlib.OpenDB(*parsed, stdlib.OptionAfterConnect(durationAsInteger)), "pgx")
	db.SetMaxOpenConns(cfg.MaxConns)
	db.SetMaxIdleConns(cfg.MaxIdleConns)
	db.MapperFunc(strcase.ToSnake) // as the plugin's own connections do
	if err := db.Ping(); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// durationAsInteger keeps durations as nanoseconds in a bigint, as Temporal's
// tables have them; pgx would take them for intervals.
func durationAsInteger(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterDefaultPgType(time.Duration(0), "int8")
	conn.TypeMap().RegisterDefaultPgType((*time.Duration)(nil), "int8")
	return nil
}

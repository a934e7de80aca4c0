package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"github.com/omnihub/omni/internal/config"
)

const pingTimeout = 10 * time.Second

// useDatabase takes the external Postgres, after checking that it answers.
func (s *Stack) useDatabase(ctx context.Context, cfg *config.Config) error {
	s.DatabaseURL = cfg.DatabaseURL
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, cfg.DatabaseURL)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", oneLine(err))
	}
	return conn.Close(ctx)
}

// useNATS takes the external NATS.
func (s *Stack) useNATS(cfg *config.Config) {
	s.NATSURL = cfg.NATSURL
	s.connect = func(options ...nats.Option) (*nats.Conn, error) { return nats.Connect(cfg.NATSURL, options...) }
}

// oneLine keeps an error to one line: Postgres's own lists each address tried.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

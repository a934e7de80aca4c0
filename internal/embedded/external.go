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

// useNATS takes the external NATS, after checking that it answers.
func (s *Stack) useNATS(cfg *config.Config) error {
	s.NATSURL = cfg.NATSURL
	conn, err := nats.Connect(cfg.NATSURL, nats.Timeout(pingTimeout))
	if err != nil {
		return fmt.Errorf("NATS_URL: %s: %w", addresses(cfg.NATSURL), err)
	}
	conn.Close()
	s.connect = func(options ...nats.Option) (*nats.Conn, error) { return nats.Connect(cfg.NATSURL, options...) }
	return nil
}

// addresses are the servers of a NATS_URL without what is secret in it. The
// library's error does not say which ones it tried.
func addresses(natsURL string) string {
	var hosts []string
	for server := range strings.SplitSeq(natsURL, ",") {
		server = server[strings.LastIndex(server, "@")+1:]
		if _, host, ok := strings.Cut(server, "://"); ok {
			server = host
		}
		hosts = append(hosts, strings.TrimSpace(server))
	}
	return strings.Join(hosts, ", ")
}

// oneLine keeps an error to one line: Postgres's own lists each address tried.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

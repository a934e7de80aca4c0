package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/durable"
)

// askTimeout is for one question to a part.
const askTimeout = 3 * time.Second

// checkExternalStack looks at those parts of the stack that are configured to
// be outside, from here. The embedded ones are the hub's to report.
func checkExternalStack(ctx context.Context, cfg *config.Config, d *diagnosis) {
	if cfg.DatabaseURL != "" {
		d.check("DATABASE_URL", func() (string, error) { return askPostgres(ctx, cfg.DatabaseURL) })
	}
	if cfg.NATSURL != "" {
		checkNATS(ctx, cfg.NATSURL, d)
	}
	if cfg.TemporalAddress != "" {
		d.check("TEMPORAL_ADDRESS", func() (string, error) { return askTemporal(ctx, cfg) })
	}
}

// checkProxies says whose addresses the limits count, where that may not be
// the clients'.
func checkProxies(cfg *config.Config, d *diagnosis) {
	const name = "OMNI_TRUSTED_PROXIES"
	for _, p := range cfg.Proxies() {
		if p.Bits() == 0 {
			d.add(name, findingWarn, p.String()+" is everybody: whoever reaches the hub can say to be at any address")
			return
		}
	}
	public, err := url.Parse(cfg.PublicURL)
	switch {
	case len(cfg.TrustedProxies) > 0:
		d.add(name, findingOK, "clients behind "+strings.Join(cfg.TrustedProxies, ", ")+" are told apart")
	case err == nil && public.Host != "" && public.Host != listenAddress(cfg):
		d.add(name, findingWarn, "unset: people who come to OMNI_PUBLIC_URL through a proxy share the limits of its one address")
	}
}

func askPostgres(ctx context.Context, databaseURL string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	var version, commit, fsync string
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('synchronous_commit'),
		current_setting('fsync')`).Scan(&version, &commit, &fsync)
	if err != nil {
		return "", err
	}
	if commit == "off" || fsync == "off" {
		return "", fmt.Errorf("synchronous_commit is %s and fsync is %s: what was acknowledged may be lost", commit, fsync)
	}
	return "Postgres " + version, nil
}

func askTemporal(ctx context.Context, cfg *config.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client, err := durable.Dial(ctx, durable.ClientConfig{
		Address: cfg.TemporalAddress, Namespace: cfg.TemporalNamespace, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return "", err
	}
	defer client.Close()
	if err := durable.NewEngine(client).Healthy(ctx); err != nil {
		return "", err
	}
	return "namespace " + cfg.TemporalNamespace, nil
}

func checkNATS(ctx context.Context, natsURL string, d *diagnosis) {
	var always, known bool
	answered := d.check("NATS_URL", func() (string, error) {
		conn, err := nats.Connect(natsURL, nats.Timeout(askTimeout), nats.Name("omni doctor"))
		if err != nil {
			return "", err
		}
		defer conn.Close()
		js, err := jetstream.New(conn)
		if err != nil {
			return "", err
		}
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		if _, err := js.AccountInfo(limited); err != nil {
			return "", fmt.Errorf("JetStream: %w", err)
		}
		always, known = syncsAlways(limited, conn)
		return "NATS " + conn.ConnectedServerVersion() + " with JetStream", nil
	})
	switch {
	case !answered:
	case !known:
		d.add("NATS_URL", findingWarn, "cannot see whether JetStream syncs every write (that needs the system account, or the "+
			"monitoring port 8222): make sure that its configuration says sync_interval: always")
	case !always:
		d.add("NATS_URL", findingWarn, "JetStream syncs now and then, so a crash of its machine can lose what a platform was "+
			"told is received: set sync_interval: always")
	}
}

// syncsAlways asks the server for its JetStream configuration: over the system
// account, else over the monitoring port.
func syncsAlways(ctx context.Context, conn *nats.Conn) (always, known bool) {
	if answer, err := conn.RequestWithContext(ctx, "$SYS.REQ.SERVER.PING.JSZ", []byte(`{"config":true}`)); err == nil {
		var wrapped struct {
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal(answer.Data, &wrapped) == nil {
			if always, err := readSync(wrapped.Data); err == nil {
				return always, true
			}
		}
	}
	server, err := url.Parse(conn.ConnectedUrl())
	if err != nil {
		return false, false
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.Hostname()+":8222/jsz?config=true", http.NoBody)
	if err != nil {
		return false, false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, false
	}
	defer func() { _ = response.Body.Close() }()
	var body json.RawMessage
	if json.NewDecoder(response.Body).Decode(&body) != nil {
		return false, false
	}
	always, err = readSync(body)
	return always, err == nil
}

func readSync(body []byte) (bool, error) {
	var jsz struct {
		Config *struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.Unmarshal(body, &jsz); err != nil {
		return false, err
	}
	if jsz.Config == nil {
		return false, errors.New("no configuration in the answer")
	}
	return jsz.Config.SyncAlways, nil
}

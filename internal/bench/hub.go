package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/omnihub/omni/internal/cli"
	"github.com/omnihub/omni/internal/embedded/postgresd"
)

const (
	bootstrapKey = "bench-bootstrap-key-0123456789"
	readyWithin  = 90 * time.Second
)

// hub is omni up on a fresh data directory, run within this process.
type hub struct {
	dir          string
	port         int
	temporalPort int
	http         *http.Client
	log          *os.File

	cancel context.CancelFunc
	exit   chan int
}

// startHub returns once the hub is ready. statements makes its Postgres count
// what each statement costs.
func startHub(ctx context.Context, statements bool) (*hub, error) {
	if statements {
		postgresd.Settings["shared_preload_libraries"] = "pg_stat_statements"
		postgresd.Settings["pg_stat_statements.track"] = "all"
		postgresd.Settings["pg_stat_statements.track_planning"] = "on"
	}
	dir, err := os.MkdirTemp("", "omni-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a data directory: %w", err)
	}
	// Postgres runs as another user than root and must be able to reach it.
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as said
		return nil, fmt.Errorf("making a data directory: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "hub.log")) //nolint:gosec // our own folder
	if err != nil {
		return nil, fmt.Errorf("opening the hub's log: %w", err)
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	h := &hub{dir: dir, port: ports[0], temporalPort: ports[1], log: log, exit: make(chan int, 1),
		http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 4 * posters}}}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = cancel
	env := cli.Env{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: log, Environ: append(os.Environ(),
		"OMNI_DATA_DIR="+filepath.Join(dir, "data"), "OMNI_PORT="+strconv.Itoa(h.port), "OMNI_API_KEY="+bootstrapKey,
		"OMNI_TEMPORAL_PORT="+strconv.Itoa(h.temporalPort), "OMNI_TEMPORAL_UI_PORT="+strconv.Itoa(ports[2]),
		"OMNI_ALLOW_PRIVATE_NETWORKS=127.0.0.1")}
	go func() { h.exit <- cli.Main(running, []string{"up"}, env) }()
	if err := h.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, h.stop())
	}
	return h, nil
}

func (h *hub) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url("/readyz"), nil)
		if err != nil {
			return fmt.Errorf("asking whether the hub is ready: %w", err)
		}
		if resp, err := h.http.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case code := <-h.exit:
			h.exit <- code
			return fmt.Errorf("the hub ended with code %d while starting:\n%s", code, h.tail())
		case <-ctx.Done():
			return fmt.Errorf("the hub is not ready after %s:\n%s", readyWithin, h.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the hub and removes what it wrote.
func (h *hub) stop() error {
	h.cancel()
	code := <-h.exit
	err := errors.Join(h.log.Close(), os.RemoveAll(h.dir))
	if code != 0 {
		err = errors.Join(err, fmt.Errorf("the hub ended with code %d", code))
	}
	return err
}

func (h *hub) url(path string) string { return "http://127.0.0.1:" + strconv.Itoa(h.port) + path }

func (h *hub) temporalAddress() string { return "127.0.0.1:" + strconv.Itoa(h.temporalPort) }

// postmaster is the embedded Postgres as its own file tells of it.
func (h *hub) postmaster() (pid, port int, err error) {
	content, err := os.ReadFile(filepath.Join(h.dir, "data", "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0, 0, fmt.Errorf("looking for the embedded Postgres: %w", err)
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) < 4 {
		return 0, 0, errors.New("looking for the embedded Postgres: postmaster.pid is incomplete")
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(lines[0])); err != nil {
		return 0, 0, fmt.Errorf("reading postmaster.pid: %w", err)
	}
	if port, err = strconv.Atoi(strings.TrimSpace(lines[3])); err != nil {
		return 0, 0, fmt.Errorf("reading postmaster.pid: %w", err)
	}
	return pid, port, nil
}

// databaseURL is where the embedded Postgres serves a database.
func (h *hub) databaseURL(name string) (string, error) {
	_, port, err := h.postmaster()
	if err != nil {
		return "", err
	}
	cluster := postgresd.Cluster{Dir: filepath.Join(h.dir, "data", "postgres"), Port: port}
	return cluster.URL(name)
}

// call uses the API and decodes "data" into out.
func (h *hub) call(ctx context.Context, method, path string, body, out any) error {
	var raw bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&raw).Encode(body); err != nil {
			return fmt.Errorf("encoding a request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, h.url(path), &raw)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+bootstrapKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.http.Do(req)
	if err != nil {
		return fmt.Errorf("calling %s %s: %w", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("calling %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("calling %s %s: answered %d: %s", method, path, resp.StatusCode, answer)
	}
	envelope := struct{ Data any }{Data: out}
	if err := json.Unmarshal(answer, &envelope); err != nil {
		return fmt.Errorf("reading the answer of %s %s: %w", method, path, err)
	}
	return nil
}

// tail is the end of the hub's log.
func (h *hub) tail() string {
	content, _ := os.ReadFile(h.log.Name())
	const limit = 4000
	return string(content[max(0, len(content)-limit):])
}

// freePorts finds ports that nobody listens on.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			return nil, errors.New("looking for a free port: not a TCP address")
		}
		ports[i] = address.Port
	}
	return ports, nil
}

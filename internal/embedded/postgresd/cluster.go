package postgresd

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
)

// Superuser is the role that owns everything in a cluster we make.
const Superuser = "omni"

// maxSocketPath is what every Unix allows for a socket's path (macOS: 104).
const maxSocketPath = 103

// Cluster is one Postgres data directory and how to run a server on it.
// Below Dir lie data (PGDATA), run (the Unix socket) and password.
type Cluster struct {
	Bin   string // folder of postgres and initdb
	Dir   string // absolute
	Port  int    // TCP port on loopback; also the name of the Unix socket
	Owner *Owner // nil: the user we are
}

func (c *Cluster) dataDir() string      { return filepath.Join(c.Dir, "data") }
func (c *Cluster) runDir() string       { return filepath.Join(c.Dir, "run") }
func (c *Cluster) passwordFile() string { return filepath.Join(c.Dir, "password") }

// Socket is the path of the Unix socket.
func (c *Cluster) Socket() string {
	return filepath.Join(c.runDir(), ".s.PGSQL."+strconv.Itoa(c.Port))
}

// Initialised reports whether the cluster was made (and made completely).
func (c *Cluster) Initialised() bool {
	_, err := os.Stat(filepath.Join(c.Dir, "initialised"))
	return err == nil
}

// Major is the major version of Postgres that made the cluster; empty if there
// is none yet.
func (c *Cluster) Major() string {
	content, err := os.ReadFile(filepath.Join(c.dataDir(), "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// Init makes the cluster unless it is there: folders with the right owner, a
// random password, initdb. What an interrupted Init left is made anew.
func (c *Cluster) Init(ctx context.Context, initdbArgs ...string) error {
	if c.Initialised() {
		return c.makeDirs()
	}
	for _, dir := range []string{c.dataDir(), c.runDir()} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("clearing an unfinished Postgres cluster: %w", err)
		}
	}
	if err := c.makeDirs(); err != nil {
		return err
	}
	if err := os.WriteFile(c.passwordFile(), []byte(rand.Text()), 0o600); err != nil {
		return fmt.Errorf("writing the Postgres password: %w", err)
	}
	if err := c.Owner.own(c.passwordFile()); err != nil {
		return err
	}
	args := append([]string{
		"--username=" + Superuser, "--pwfile=" + dataDirPlaceholder + "/../password", "--encoding=UTF8", "--no-locale",
		"--auth-local=trust", "--auth-host=scram-sha-256", "--no-instructions",
	}, initdbArgs...)
	cmd, done, err := c.command(ctx, "initdb", args...)
	if err != nil {
		return err
	}
	defer done()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("making the Postgres cluster in %s: %w: %s", c.Dir, err, lastLine(out.String()))
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "initialised"), nil, 0o600); err != nil {
		return fmt.Errorf("marking the Postgres cluster as complete: %w", err)
	}
	return nil
}

func (c *Cluster) makeDirs() error {
	for _, dir := range []string{c.Dir, c.dataDir(), c.runDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the Postgres folder: %w", err)
		}
		if err := c.Owner.own(dir); err != nil {
			return err
		}
	}
	return nil
}

// Server returns the command that runs the server in the foreground with
// settings over those of postgresql.conf. done releases what Start needs and
// may be called as soon as Start has returned.
func (c *Cluster) Server(ctx context.Context, settings map[string]string) (cmd *exec.Cmd, done func(), err error) {
	all := map[string]string{
		"port":                    strconv.Itoa(c.Port),
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "../run",
		"unix_socket_permissions": "0700",
	}
	maps.Copy(all, settings)
	args := make([]string, 0, 2*len(all))
	for key, value := range all {
		args = append(args, "-c"+key+"="+value)
	}
	sort.Strings(args)
	return c.command(ctx, "postgres", args...)
}

// FirstOf is the first value of a setting that these binaries take: how they
// were built differs. The last one is taken for granted.
func (c *Cluster) FirstOf(ctx context.Context, setting string, values ...string) string {
	for _, value := range values[:len(values)-1] {
		cmd, done, err := c.command(ctx, "postgres", "-c"+setting+"="+value, "-C"+setting)
		if err != nil {
			break
		}
		err = cmd.Run()
		done()
		if err == nil {
			return value
		}
	}
	return values[len(values)-1]
}

// command runs one of Postgres's programs on the data directory, as the owner.
//
// An unprivileged owner often may not walk the path to the data directory (a
// home or temporary folder with mode 0700). It needs not: the folder is opened
// here, handed down as a file descriptor, and named by that. Postgres itself
// soon makes it its working directory and uses relative paths only.
func (c *Cluster) command(ctx context.Context, program string, args ...string) (*exec.Cmd, func(), error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.Bin, program))
	dataDir, done := c.dataDir(), func() {}
	if c.Owner != nil && runtime.GOOS == "linux" {
		folder, err := os.Open(c.dataDir())
		if err != nil {
			return nil, nil, fmt.Errorf("opening the Postgres folder: %w", err)
		}
		cmd.ExtraFiles = []*os.File{folder} // descriptor 3
		dataDir, done = "/proc/self/fd/3", func() { _ = folder.Close() }
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], dataDirPlaceholder, dataDir)
	}
	cmd.Args = append(append(cmd.Args, "-D", dataDir), args...)
	cmd.Dir = "/"
	// Nothing of ours (keys above all) belongs in Postgres's environment.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "LD_LIBRARY_PATH=" + os.Getenv("LD_LIBRARY_PATH")}
	cmd.SysProcAttr = sysProcAttr(c.Owner)
	return cmd, done, nil
}

// dataDirPlaceholder stands in arguments for the data directory as the child
// will name it.
const dataDirPlaceholder = "{data}"

// URL is the connection URL of one database: over the Unix socket, or over
// loopback TCP where the socket's path is longer than systems allow, or would
// be read as several hosts.
func (c *Cluster) URL(database string) (string, error) {
	if len(c.Socket()) > maxSocketPath || strings.Contains(c.runDir(), ",") {
		return c.TCPURL(database)
	}
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d&sslmode=disable",
		Superuser, database, strings.ReplaceAll(url.QueryEscape(c.runDir()), "+", "%20"), c.Port), nil // pgx takes a plus as it is
}

// TCPURL is the connection URL of one database over loopback TCP, with the password.
func (c *Cluster) TCPURL(database string) (string, error) {
	password, err := c.Password()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", Superuser, password, c.Port, database), nil
}

// Password is the superuser's, for connections over TCP.
func (c *Cluster) Password() (string, error) {
	password, err := os.ReadFile(c.passwordFile())
	if err != nil {
		return "", fmt.Errorf("reading the Postgres password: %w", err)
	}
	return strings.TrimSpace(string(password)), nil
}

// PID is the running (or crashed) postmaster's, from postmaster.pid; 0 when
// there is no such file.
func (c *Cluster) PID() (int, error) {
	content, err := os.ReadFile(filepath.Join(c.dataDir(), "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading postmaster.pid: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 {
		return 0, nil //nolint:nilerr // half written: whoever wrote it is gone
	}
	return pid, nil
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

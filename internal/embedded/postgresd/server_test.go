package postgresd_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/internal/embedded/postgresd"
)

// parentVariable makes this test binary a parent that starts a server in the
// named folder, says so, and waits to be killed.
const parentVariable = "POSTGRESD_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentVariable); dir != "" {
		server := postgresd.New(postgresd.Options{Dir: dir, Log: slog.Default()})
		if err := server.Start(context.Background()); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("pid", server.PID())
		select {}
	}
	goleak.VerifyTestMain(m)
}

func newServer(t *testing.T, dir string) *postgresd.Server {
	t.Helper()
	return postgresd.New(postgresd.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
}

// privateDir lies below a folder that no other user may enter, as the home of
// root or the folders of mktemp -d are.
func privateDir(t *testing.T) string {
	t.Helper()
	parent := filepath.Join(t.TempDir(), "private")
	require.NoError(t, os.Mkdir(parent, 0o700))
	return filepath.Join(parent, "postgres")
}

func start(t *testing.T, server *postgresd.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, server.Start(ctx))
	t.Cleanup(func() { stop(t, server) })
}

func stop(t *testing.T, server *postgresd.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, server.Stop(ctx))
}

func exec1(t *testing.T, server *postgresd.Server, sql string) {
	t.Helper()
	url, err := server.URL("postgres")
	require.NoError(t, err)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	require.NoError(t, err)
}

func TestWhatIsWrittenAheadIsPacked(t *testing.T) {
	t.Parallel()
	server := newServer(t, privateDir(t))
	start(t, server)
	url, err := server.URL("postgres")
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	var how string
	require.NoError(t, conn.QueryRow(t.Context(), "SHOW wal_compression").Scan(&how))
	require.Contains(t, []string{"lz4", "pglz", "on"}, how)
	require.Equal(t, "on", server.Cluster().FirstOf(t.Context(), "wal_compression", "no such way", "on"))
}

func TestServerKeepsDataOverRestarts(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	server := newServer(t, dir)
	start(t, server)
	require.NoError(t, server.Healthy(context.Background()))
	exec1(t, server, "CREATE TABLE kept (x int)")
	stop(t, server)
	require.Error(t, server.Healthy(context.Background()))

	again := newServer(t, dir)
	start(t, again)
	exec1(t, again, "INSERT INTO kept VALUES (1)")

	url, err := again.Cluster().TCPURL("postgres")
	require.NoError(t, err)
	conn, err := pgx.Connect(context.Background(), url)
	require.NoError(t, err, "over TCP with the password")
	var fsync, commit string
	require.NoError(t, conn.QueryRow(context.Background(),
		"SELECT current_setting('fsync'), current_setting('synchronous_commit')").Scan(&fsync, &commit))
	require.Equal(t, [2]string{"on", "on"}, [2]string{fsync, commit})
	require.NoError(t, conn.Close(context.Background()))
	_, err = pgx.Connect(context.Background(), strings.Replace(url, ":"+password(t, again)+"@", ":wrong@", 1))
	require.ErrorContains(t, err, "password authentication failed")
}

// A folder's name is its owner's affair.
func TestFoldersOfAnyName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"my data", "dä ta [1]", "a+b%20c&d=e?", "a,b"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "pg") //nolint:usetesting // t.TempDir is too long for a socket: 107 bytes
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
			server := newServer(t, filepath.Join(dir, name, "postgres"))
			start(t, server)
			exec1(t, server, "CREATE TABLE kept (x int)")
			require.NoError(t, server.EnsureDatabase(t.Context(), "other"))
			stop(t, server)
		})
	}
}

func password(t *testing.T, server *postgresd.Server) string {
	t.Helper()
	cluster := server.Cluster()
	text, err := cluster.Password()
	require.NoError(t, err)
	return text
}

func TestServerIsRestartedOnTheSamePortWhenKilled(t *testing.T) {
	t.Parallel()
	server := newServer(t, privateDir(t))
	start(t, server)
	url, err := server.URL("postgres")
	require.NoError(t, err)
	exec1(t, server, "CREATE TABLE kept (x int)")
	for range 2 {
		killed := server.PID()
		require.NoError(t, syscall.Kill(killed, syscall.SIGKILL))
		require.Eventually(t, func() bool {
			return server.Healthy(context.Background()) == nil && server.PID() != killed
		}, 20*time.Second, 10*time.Millisecond)
		again, err := server.URL("postgres")
		require.NoError(t, err)
		require.Equal(t, url, again)
		exec1(t, server, "INSERT INTO kept VALUES (1)")
	}
}

// TestNextStartEndsTheOrphan kills a parent with SIGKILL and starts anew.
func TestNextStartEndsTheOrphan(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+dir)
	stdout, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	var orphan int
	_, err = fmt.Sscanf(line, "pid %d", &orphan)
	require.NoError(t, err, line)
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()

	server := newServer(t, dir)
	start(t, server)
	require.NotEqual(t, orphan, server.PID())
	exec1(t, server, "SELECT 1")
}

// TestRunningServerIsStoppedNotJoined covers a parent's death that the kernel
// does not tell the child of.
func TestRunningServerIsStoppedNotJoined(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	first, second := newServer(t, dir), newServer(t, dir)
	start(t, first)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cluster := first.Cluster()
	stop(t, first)
	require.NoError(t, cluster.StopRunning(ctx), "nothing runs: nothing to do")

	cmd, done, err := cluster.Server(context.Background(), nil)
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	done()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	require.Eventually(t, func() bool { pid, err := cluster.PID(); return err == nil && pid == cmd.Process.Pid },
		10*time.Second, 10*time.Millisecond)
	start(t, second)
	<-exited
}

func TestStalePidFileOfAnotherProgramIsNoObstacle(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	server := newServer(t, dir)
	start(t, server)
	stop(t, server)
	other := exec.Command("sleep", "600")
	require.NoError(t, other.Start())
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	content := fmt.Sprintf("%d\n%s\n1\n5432\n\n\n", other.Process.Pid, filepath.Join(dir, "data"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(content), 0o600))
	start(t, newServer(t, dir))
	require.NoError(t, other.Process.Signal(syscall.Signal(0)), "the other program lives")
}

func TestUnfinishedClusterIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data", "base"), 0o700))
	start(t, newServer(t, dir))
}

func TestPortInUseSaysSo(t *testing.T) {
	t.Parallel()
	one := newServer(t, privateDir(t))
	start(t, one)
	two := postgresd.New(postgresd.Options{
		Dir: privateDir(t), Port: one.Cluster().Port, Log: slog.New(slog.DiscardHandler),
	})
	err := two.Start(context.Background())
	require.ErrorContains(t, err, "TCP/IP")
}

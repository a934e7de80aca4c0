package chaos

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/e2e/hubtest"
)

// process is this test binary as something else: the hub, or a part of the
// ground it stands on. It can be killed and started again.
type process struct {
	t     *testing.T
	name  string
	env   []string
	ready func() bool
	log   *os.File
	cmd   *exec.Cmd
	done  chan error
}

// startWithin is how long a process may take to serve, after any death of
// itself or of what it needs, on a machine that has much else to do.
const startWithin = 90 * time.Second

func newProcess(t *testing.T, dir, name string, ready func() bool, env ...string) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, name+".log"))
	require.NoError(t, err)
	p := &process{t: t, name: name, ready: ready, log: log, env: append(env, childVariable+"="+name)}
	t.Cleanup(p.cleanup)
	return p
}

// start runs the process and waits until it serves. One that ends because what
// it needs is away is started again.
func (p *process) start() {
	p.t.Helper()
	p.launch()
	p.awaitReady()
}

func (p *process) launch() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Dir = filepath.Dir(p.log.Name())
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(p.t, p.cmd.Start())
	p.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(p.cmd, p.done)
}

func (p *process) awaitReady() {
	p.t.Helper()
	deadline := time.After(startWithin)
	for !p.ready() {
		select {
		case <-p.done:
			p.launch()
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			p.t.Fatalf("%s does not serve after %s\n%s", p.name, startWithin, p.tail())
		}
	}
}

// kill is SIGKILL.
func (p *process) kill() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Kill())
	<-p.done
	p.cmd = nil
}

// stop is SIGTERM; the process must be gone within 15 seconds, and what it ran
// before it.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			p.t.Errorf("%s ended with code %d\n%s", p.name, code, p.tail())
		}
	case <-time.After(15 * time.Second):
		p.t.Errorf("%s did not stop within 15 s\n%s", p.name, p.tail())
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	p.cmd = nil
}

func (p *process) cleanup() {
	if p.cmd != nil {
		p.stop()
	}
	if p.t.Failed() {
		p.t.Logf("the log of %s:\n%s", p.name, p.tail())
	}
	_ = p.log.Close()
	hubtest.NoRaces(p.t, p.log.Name())
}

func (p *process) tail() string {
	b, _ := os.ReadFile(p.log.Name())
	const limit = 6000
	return string(b[max(0, len(b)-limit):])
}

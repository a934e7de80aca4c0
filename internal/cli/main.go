package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it did not work: bad configuration, a refused call
	exitUsage  = 2 // it was not understood: unknown command, flag or argument
)

// Env is what a command reads and writes of the world around it.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string // "KEY=value" each
	DotEnv         string   // path of the .env file
}

// OSEnv is the process's own.
func OSEnv() Env {
	return Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), DotEnv: ".env"}
}

// Main runs the command line args (without the program's name) and returns
// the exit code. An interrupt or SIGTERM ends ctx for the command, which then
// stops in order; a second one ends the process at once.
func Main(ctx context.Context, args []string, env Env) int {
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	context.AfterFunc(ctx, release) // the default action again: a second signal kills

	running := false
	root := newRoot(env, &running)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case !running, errors.As(err, new(*usageError)):
		_, _ = fmt.Fprintf(env.Stderr, "omni: %s\n", oneLine(err))
		_, _ = fmt.Fprintln(env.Stderr, `Run "omni --help" for what there is.`)
		return exitUsage
	default:
		if _, quiet := errors.AsType[*quietError](err); !quiet {
			_, _ = fmt.Fprintf(env.Stderr, "omni: %s\n", oneLine(err))
		}
		return exitFailed
	}
}

// usageError is a command that was not understood, found by its own code.
type usageError struct{ error }

// quietError ends a command with exit code 1 when it has said why itself.
type quietError struct{ cause string }

func (e *quietError) Error() string { return e.cause }

// oneLine keeps the promise that a failure is one line, whatever a library put
// into its error.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

package chaos

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	_ "github.com/omnihub/omni/channels/standard" // which channels the hub has
	"github.com/omnihub/omni/internal/cli"
)

var (
	minutes = flag.Float64("minutes", 0, "how long there is trouble; 0: the short form")
	seed    = flag.Uint64("seed", 0, "of the order of troubles; 0: a new one")
)

// shortForm is how long there is trouble in the tests that always run.
const shortForm = 20 * time.Second

// childVariable makes this test binary one of the processes under test.
const childVariable = "CHAOS_CHILD"

func TestMain(m *testing.M) {
	switch child := os.Getenv(childVariable); child {
	case "":
		os.Exit(m.Run())
	case "hub":
		os.Exit(runHub())
	default:
		os.Exit(runPart(child))
	}
}

// exitLeaked is how a hub ends that has stopped, but not everything in it.
const exitLeaked = 70

// runHub is the whole hub as anybody starts it. Once it has stopped, nothing of
// it may be left: what still runs is told on stderr.
func runHub() int {
	code := cli.Main(context.Background(), []string{"up"}, cli.OSEnv())
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "left behind:", err)
		return exitLeaked
	}
	return 0
}

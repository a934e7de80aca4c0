package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/omnihub/omni/"

// room is one row of the table: a folder, and what its packages may import.
type room struct {
	path string
	// may lists packages of ours; "x/..." is x and everything below. A room
	// may always import what lies below itself, unless it says only.
	may []string
	// only: not even what lies below itself.
	only bool
	// never lists what else is out of bounds: other modules, and the standard
	// library, by the beginning of their path; "x$" is x itself.
	never []string
}

// pure is what such rooms keep away from.
var pure = []string{"net$", "net/http", "os", "database/sql", "github.com/jackc", "github.com/nats-io", "go.temporal.io", "github.com/gin-gonic"}

// platformFree is what a channel's package must do without: it may be written
// by anybody, in a module of its own.
var platformFree = []string{"go.temporal.io", "github.com/jackc", "github.com/nats-io", "github.com/gin-gonic", "database/sql"}

// rooms is the table. The row with the longest path that fits a package holds.
// If a row is wrong, change it here and in docs in the same commit, and say why.
var rooms = []room{
	{path: "channels/message", never: append([]string{"github.com/google"}, pure...)},
	{path: "channels", may: []string{"channels/message"}, only: true, never: platformFree},
	{path: "channels/channeltest", may: []string{"channels", "channels/message"}, never: platformFree},
	{path: "channels/standard", may: []string{"channels/..."}, never: platformFree},
	{path: "channels/custom", may: []string{"channels", "channels/message"}, never: platformFree},
	{path: "channels/webchat", may: []string{"channels", "channels/message"}, never: platformFree},
	{path: "channels/telegram", may: []string{"channels", "channels/message"}, never: platformFree},

	{path: "migrations", never: []string{"github.com/nats-io", "go.temporal.io"}},

	// The domain speaks the language of the edge: messages, and the contract's
	// words for a channel's state, capabilities and errors.
	{path: "internal/omni", may: []string{"channels", "channels/message"}, never: pure},

	{path: "activities", may: []string{"internal/omni", "channels/message"}, only: true, never: []string{"net$", "net/http", "os", "database/sql", "github.com/jackc", "github.com/nats-io"}},
	{path: "activities/identity", may: []string{"activities", "internal/omni", "channels/message"}},
	{path: "activities/access", may: []string{"activities", "internal/omni", "channels/message"}},
	{path: "activities/turn", may: []string{"activities", "internal/omni", "channels/message"}},
	{path: "activities/media", may: []string{"activities", "internal/omni", "channels", "channels/message"}},
	// These two decide by a channel's capabilities and send errors.
	{path: "activities/agent", may: []string{"activities", "internal/omni", "channels", "channels/message"}},
	{path: "activities/deliver", may: []string{"activities", "internal/omni", "channels", "channels/message"}},

	{path: "workflows", may: []string{"activities", "internal/omni", "channels/message"}, never: []string{
		"net$", "net/http", "os", "sync", "math/rand", "crypto/rand", "log", "database/sql", "github.com/jackc", "github.com/nats-io"}},

	// Leaves: each speaks to one thing outside, and knows the domain at most.
	{path: "internal/store", may: []string{"internal/omni", "channels", "channels/message", "migrations"}, never: []string{"github.com/nats-io", "go.temporal.io", "github.com/gin-gonic"}},
	{path: "internal/bus", may: []string{"internal/omni", "channels", "channels/message"}, never: []string{"github.com/jackc", "go.temporal.io", "github.com/gin-gonic"}},
	{path: "internal/blob", may: []string{"internal/omni"}},
	{path: "internal/provider", may: []string{"internal/omni", "channels/message", "internal/telemetry"}, never: []string{"github.com/jackc", "github.com/nats-io", "go.temporal.io"}},
	// Starting a workflow takes its id and its input.
	{path: "internal/durable", may: []string{"internal/omni", "activities", "workflows"}, never: []string{"github.com/jackc", "github.com/nats-io"}},
	{path: "internal/secret"},
	{path: "internal/safehttp"},
	{path: "internal/telemetry"},
	{path: "internal/config", may: []string{"internal/omni"}},
	{path: "internal/lifecycle"},

	{path: "internal/control", may: []string{"internal/omni", "channels", "channels/message", "activities", "workflows"}, never: []string{"github.com/gin-gonic", "github.com/jackc", "github.com/nats-io", "go.temporal.io/sdk", "net/http"}},
	{path: "api", may: []string{"internal/control", "internal/omni", "channels", "channels/message", "internal/config", "internal/telemetry"}, never: []string{"github.com/jackc", "github.com/nats-io", "go.temporal.io"}},

	{path: "workers", may: []string{
		"workflows", "activities/...", "channels", "channels/message", "internal/omni", "internal/store", "internal/bus",
		"internal/blob", "internal/durable", "internal/provider", "internal/secret", "internal/safehttp", "internal/telemetry",
		"internal/config", "internal/lifecycle"}, never: []string{"github.com/gin-gonic"}},

	{path: "internal/embedded", may: []string{"internal/config", "internal/lifecycle"}},
	{path: "internal/testkit", may: []string{"internal/embedded/postgresd", "migrations"}},

	// Where everything is wired together.
	{path: "internal/cli", may: []string{"api/...", "channels/...", "internal/...", "workers/...", "workflows", "activities/..."}},
	{path: "cmd", may: []string{"internal/cli", "channels/standard"}},
	{path: "internal/e2e", may: []string{"..."}},
	{path: "internal/bench", may: []string{"..."}},
	{path: "internal/arch"},
}

// testOnly are packages that no other code than tests may import.
var testOnly = []string{"internal/testkit", "internal/e2e", "internal/bench", "channels/channeltest"}

// onlyBy are packages with few users: the rest must not depend on them.
var onlyBy = map[string][]string{
	"internal/embedded": {"internal/embedded", "internal/cli", "internal/e2e", "internal/bench", "internal/testkit"},
	"internal/cli":      {"internal/cli", "cmd", "internal/e2e", "internal/bench"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	require.NoError(t, err)
	var all []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}

func TestImportsKeepTheTable(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		path, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours || path == "internal" {
			continue
		}
		r := roomOf(path)
		if r == nil {
			t.Errorf("%s is in no room: add a row to the table", path)
			continue
		}
		for _, imported := range p.Imports {
			if problem := r.problem(path, imported); problem != "" {
				t.Errorf("%s must not import %s: %s", path, strings.TrimPrefix(imported, module), problem)
			}
		}
	}
}

func roomOf(path string) *room {
	var best *room
	for i, r := range rooms {
		if within(path, r.path) && (best == nil || len(r.path) > len(best.path)) {
			best = &rooms[i]
		}
	}
	return best
}

func (r *room) problem(from, imported string) string {
	path, ours := strings.CutPrefix(imported, module)
	if !ours {
		for _, banned := range r.never {
			if exact, ok := strings.CutSuffix(banned, "$"); within(imported, banned) || ok && imported == exact {
				return "the room " + r.path + " does without " + banned
			}
		}
		return ""
	}
	for _, name := range testOnly {
		if within(path, name) && !within(from, name) {
			return "only tests may"
		}
	}
	for name, users := range onlyBy {
		if within(path, name) && !anyWithin(from, users) {
			return "only " + strings.Join(users, ", ") + " may"
		}
	}
	if within(path, r.path) && !r.only {
		return ""
	}
	for _, allowed := range r.may {
		if path == allowed || allowed == "..." {
			return ""
		}
		if below, tree := strings.CutSuffix(allowed, "/..."); tree && within(path, below) {
			return ""
		}
	}
	return "the room " + r.path + " may import " + strings.Join(r.may, ", ")
}

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func anyWithin(path string, folders []string) bool {
	for _, folder := range folders {
		if within(path, folder) {
			return true
		}
	}
	return false
}

// TestTheTableBites shows that the rules refuse what they are for.
func TestTheTableBites(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"channels/custom", "channels/telegram"},
		{"channels/custom", "internal/omni"},
		{"channels", "channels/custom"},
		{"channels/x", "internal/bus"},
		{"activities", "activities/turn"},
		{"activities/turn", "internal/store"},
		{"workflows", "internal/store"},
		{"internal/store", "internal/bus"},
		{"internal/control", "internal/store"},
		{"api/v1", "internal/store"},
		{"workers", "internal/control"},
		{"workers/gateway", "api"},
		{"workers", "internal/cli"},
		{"internal/store", "internal/testkit"},
		{"api", "internal/embedded"},
	} {
		require.NotEmpty(t, roomOf(pair[0]).problem(pair[0], module+pair[1]), "%s may not import %s", pair[0], pair[1])
	}
	for _, pair := range [][2]string{
		{"workflows", "os"}, {"workflows", "math/rand/v2"}, {"internal/omni", "net/http"},
		{"channels/custom", "go.temporal.io/sdk/client"}, {"internal/control", "github.com/gin-gonic/gin"},
	} {
		require.NotEmpty(t, roomOf(pair[0]).problem(pair[0], pair[1]), "%s may not import %s", pair[0], pair[1])
	}
}

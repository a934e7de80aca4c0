package workflows_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/workflows"
)

// addPayloads writes the golden files that are missing. There is no flag that
// changes one: histories and running executions hold that JSON.
var addPayloads = flag.Bool("add-payloads", false, "write golden payloads of new types")

// payloads are everything that a workflow or an activity is handed or returns.
var payloads = []any{
	activities.ResolveInput{}, activities.ResolveOutput{}, activities.CheckInput{}, activities.CheckOutput{},
	activities.JoinInput{}, activities.TurnView{}, activities.CloseInput{}, activities.YieldInput{}, activities.FinishInput{}, activities.FinishOutput{},
	activities.ReadyInput{}, activities.ReadyOutput{}, activities.WakeInput{}, activities.SweepInput{}, activities.SweepOutput{},
	activities.ReplyInput{}, activities.ReplyOutput{},
	activities.AwaitInput{}, activities.GiveUpInput{}, activities.SendInput{}, activities.SendOutput{}, activities.MessageRef{}, activities.TurnRef{},
	activities.FetchInput{}, activities.FetchOutput{},
	activities.FollowUpInput{}, activities.ArmInput{}, activities.ClaimInput{},
	workflows.MessageInput{}, workflows.MessageResult{}, workflows.OutboundInput{}, workflows.OutboundResult{},
}

const payloadDir = "../activities/testdata/payloads"

// What was written by any release must be read by every later one: a field is
// added to the golden file of its type, never renamed, retyped or removed.
func TestPayloadsAreWireFormat(t *testing.T) {
	t.Parallel()
	for _, p := range payloads {
		typ := reflect.TypeOf(p)
		t.Run(typ.String(), func(t *testing.T) {
			t.Parallel()
			filled := reflect.New(typ)
			fill(t, filled.Elem())
			now, err := json.MarshalIndent(filled.Interface(), "", "  ")
			require.NoError(t, err)
			path := filepath.Join(payloadDir, typ.String()+".json")
			golden, err := os.ReadFile(path) //nolint:gosec // a file of the repository
			if os.IsNotExist(err) && *addPayloads {
				require.NoError(t, os.WriteFile(path, append(now, '\n'), 0o644)) //nolint:gosec // a file of the repository
				return
			}
			require.NoError(t, err, "a new type: go test ./workflows -run %s -add-payloads", t.Name())
			require.JSONEq(t, string(golden), string(now), "a new field is added to %s by hand", path)

			read := reflect.New(typ)
			d := json.NewDecoder(bytes.NewReader(golden))
			d.DisallowUnknownFields()
			require.NoError(t, d.Decode(read.Interface()))
			require.Equal(t, filled.Interface(), read.Interface())
		})
	}
}

// A type that nobody listed is a type that nobody guards.
func TestEveryPayloadIsListed(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, p := range payloads {
		listed[reflect.TypeOf(p).String()] = true
	}
	for _, dir := range []string{".", "../activities"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(f, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok || !strings.HasSuffix(spec.Name.Name, "Input") && !strings.HasSuffix(spec.Name.Name, "Output") &&
					!strings.HasSuffix(spec.Name.Name, "Result") {
					return true
				}
				require.True(t, listed[f.Name.Name+"."+spec.Name.Name], "%s.%s is in the table", f.Name.Name, spec.Name.Name)
				return true
			})
		}
	}
}

// fill gives every field a value, so that none is left out of the JSON.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case uuid.UUID:
		v.Set(reflect.ValueOf(messageID))
		return
	case uuid.NullUUID:
		v.Set(reflect.ValueOf(nullID(turnID)))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)))
		return
	case time.Duration:
		v.Set(reflect.ValueOf(1500 * time.Millisecond))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(t, field)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(1 << 53)
	default:
		require.Fail(t, "a kind of field that fill does not know", v.Kind())
	}
}

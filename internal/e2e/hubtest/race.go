package hubtest

import (
	"bytes"
	"os"
	"testing"
)

// RaceVariable makes tests build the hub under test with the race detector;
// see CONTRIBUTING.md.
const RaceVariable = "E2E_RACE"

// NoRaces fails the test if the log of a hub tells of a data race. Only a hub
// that was built with the race detector does.
func NoRaces(t testing.TB, log string) {
	t.Helper()
	b, err := os.ReadFile(log)
	if err != nil {
		t.Errorf("reading the log of a hub: %v", err)
		return
	}
	if at := bytes.Index(b, []byte("WARNING: DATA RACE")); at >= 0 {
		const shown = 8000
		t.Errorf("a data race:\n%s", b[at:min(len(b), at+shown)])
	}
}

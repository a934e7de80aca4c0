package provider_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
)

// passed are the runs of the suite that went well: test and protocol.
var passed sync.Map

// matrix are the promises of the suite, and the test that shows each.
var matrix = []struct{ promise, test string }{
	{"gives up in time", "TestProvidersHangUp/out_of_time"},
	{"a cancel reaches the server", "TestProvidersHangUp/cancelled"},
	{"429 waits as told", "TestProvidersFail/rate_limited"},
	{"5xx", "TestProvidersFail/server_error"},
	{"wrong key: final, and said", "TestProvidersFail/wrong_key"},
	{"malformed answer", "TestProvidersCannotRead/half_of_JSON"},
	{"empty answer", "TestProvidersEmptyAnswer"},
	{"huge answer", "TestProvidersHugeAnswer"},
	{"answer broken off", "TestProvidersAnswerBreaksOff"},
	{"no redirects", "TestProvidersDoNotFollowRedirects/307"},
	{"no private addresses", "TestProvidersRefuseAddresses"},
	{"people's words are no instructions", "TestPeoplesAttachmentsAreNoInstructions"},
}

const (
	matrixFile  = "../../docs/agents.md"
	matrixBegin = "<!-- conformance: written by the tests of internal/provider -->\n"
	matrixEnd   = "<!-- /conformance -->"
)

// documented ends the tests: the table in the documentation must say what they
// have shown. OMNI_WRITE_DOCS=1 writes it. It is looked at only where all ran.
func documented(code int) {
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == "" {
		code = checkMatrix()
	}
	os.Exit(code)
}

func checkMatrix() int {
	raw, err := os.ReadFile(matrixFile)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	before, rest, found := strings.Cut(string(raw), matrixBegin)
	said, after, ended := strings.Cut(rest, matrixEnd)
	table := matrixTable()
	switch {
	case !found || !ended:
		fmt.Println(matrixFile + " has no place for the table of the conformance suite")
		return 1
	case said == table:
		return 0
	case os.Getenv("OMNI_WRITE_DOCS") == "":
		fmt.Printf("the table of the conformance suite in %s is not what the tests have shown (OMNI_WRITE_DOCS=1 writes it):\n%s", matrixFile, table)
		return 1
	}
	if err := os.WriteFile(matrixFile, []byte(before+matrixBegin+table+matrixEnd+after), 0o644); err != nil { //nolint:gosec // documentation
		fmt.Println(err)
		return 1
	}
	return 0
}

// matrixTable is what was shown: a row for each promise, a column for each
// provider; a provider that streams has shown it whole and in a stream.
func matrixTable() string {
	var names []string
	titles := map[string][]string{}
	for _, p := range protocols() {
		if titles[p.name] == nil {
			names = append(names, p.name)
		}
		titles[p.name] = append(titles[p.name], p.title())
	}
	var b strings.Builder
	b.WriteString("| | " + strings.Join(names, " | ") + " |\n|---|" + strings.Repeat("---|", len(names)) + "\n")
	for _, row := range matrix {
		b.WriteString("| " + row.promise + " |")
		for _, name := range names {
			mark := " yes |"
			for _, title := range titles[name] {
				if _, ok := passed.Load(row.test + " " + title); !ok {
					mark = " **no** |"
				}
			}
			b.WriteString(mark)
		}
		b.WriteString("\n")
	}
	return b.String()
}

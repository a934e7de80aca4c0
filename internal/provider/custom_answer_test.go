package provider

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

// An answer is not followed to wherever its depth leads.
func TestAnswersAreNotFollowedWithoutEnd(t *testing.T) {
	t.Parallel()
	const deep = maxResponse - 100
	for _, body := range []string{strings.Repeat("[", deep), strings.Repeat(`{"a":`, deep/5), strings.Repeat("[", deep/2) + strings.Repeat("]", deep/2)} {
		for _, path := range []string{"", "a.a.a", "a.#.a"} {
			if _, err := customAnswer(path, []byte(body)); path != "" || body[0] == '{' { // else it is a text
				require.Error(t, err)
			}
		}
	}
}

// Where an answer is only points to it: nothing new is made of what came.
func TestResponsePathsOnlyPoint(t *testing.T) {
	t.Parallel()
	answer := []byte(`{"choices":[{"type":"a","text":"no"},{"type":"b","text":"yes"}],"@type":"odd"}`)
	for path, want := range map[string]string{"choices.1.text": "yes", `choices.#(type=="b").text`: "yes", `choices.#(type!="a").text`: "yes", `\@type`: "odd", "choices.0.t*t": "no"} {
		require.Empty(t, (&omni.CustomAgent{ResponsePath: path}).Check(), path)
		reply, err := customAnswer(path, answer)
		require.NoError(t, err, path)
		require.Equal(t, want, reply.Text, path)
	}
	for _, path := range []string{strings.TrimPrefix(strings.Repeat("|@tostr", 60), "|"), strings.TrimPrefix(strings.Repeat("|[@this,@this]", 30), "|"),
		"choices|{a:@this}", "choices.@reverse", `choices.#(@this.type=="b").text`} {
		faults := (&omni.CustomAgent{ResponsePath: path}).Check()
		require.Len(t, faults, 1, path)
		require.Equal(t, "responsePath", faults[0].Field)
		_, err := customAnswer(path, answer)
		require.Error(t, err, path)
	}
}

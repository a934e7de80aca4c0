package provider

import (
	"slices"
	"time"

	"github.com/omnihub/omni/internal/omni"
)

// maxCall is longer than any agent may take: the caller's context ends calls.
const maxCall = 2 * time.Hour

// cutShort are the reasons that models give for ending where their answer does
// not: it was as long as it may be, or as the model can keep in mind.
var cutShort = []string{"length", "max_tokens", "model_context_window_exceeded"}

// finished are the details of a model's answer. One that is not whole says so:
// it goes out as it is, because asking again would end at the same place.
func finished(model, reason string) map[string]any {
	details := map[string]any{"model": omni.CleanText(model), "finishReason": omni.CleanText(reason)}
	if slices.Contains(cutShort, reason) {
		details["truncated"] = true
	}
	return details
}

// hint says what to do about an answer of which nothing is left.
func hint(reason string) string {
	if slices.Contains(cutShort, reason) {
		return ": it thought for as long as it may, see maxTokens"
	}
	return ""
}

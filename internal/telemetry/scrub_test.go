package telemetry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/telemetry"
)

func TestScrub(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text    string
		secrets []string
		want    string
	}{
		"named secret":      {"401 for hunter22!", []string{"hunter22!"}, "401 for •••"},
		"short secret kept": {"a b c", []string{"b"}, "a b c"},
		"bearer":            {"Authorization: Bearer abc.def-123", nil, "Authorization: Bearer •••"},
		"query":             {"GET /v1?api_key=abcdef&x=1: EOF", nil, "GET /v1?api_key=•••&x=1: EOF"},
		"json":              {`{"token":"abcdef","a":1}`, nil, `{"token":"•••","a":1}`},
		"url password":      {"dial postgres://omni:pa55@host/db: refused", nil, "dial postgres://omni:•••@host/db: refused"},
		"telegram token":    {`Post "https://api.telegram.org/bot123456789:AAabcdefghijklmnopqrstuvwxyz012345/getMe"`, nil, `Post "https://api.telegram.org/bot•••/getMe"`},
		"openai key":        {"Incorrect API key provided: sk-proj-abcdef123456.", nil, "Incorrect API key provided: •••"},
		"camel case":        {`{"botToken": "abcdef"}`, nil, `{"botToken": "•••"}`},
		"not a key":         {"monkey: banana", nil, "monkey: banana"},
		"nothing":           {"connection refused by 127.0.0.1:80", nil, "connection refused by 127.0.0.1:80"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, telemetry.Scrub(tc.text, tc.secrets...))
		})
	}
}

package provider_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/provider"
)

// recorder keeps what was asked, and answers nothing.
type recorder struct{ asked map[string]json.RawMessage }

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := json.NewDecoder(req.Body).Decode(&r.asked); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// How long an answer may be is the operator's word, in the field that the
// server knows.
func TestAnswersAreAsLongAsTheyMayBe(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		provider, url, model string
		most                 int
		want                 map[string]string
	}{
		"openai":               {"openai", "", "gpt-5", 500, map[string]string{"max_completion_tokens": "500"}},
		"openai by its name":   {"openai", "https://eu.api.openai.com/v1", "gpt-5", 500, map[string]string{"max_completion_tokens": "500"}},
		"others":               {"openai", "http://vllm:8000/v1", "llama", 500, map[string]string{"max_tokens": "500"}},
		"openai, as it likes":  {"openai", "", "gpt-5", 0, nil},
		"anthropic":            {"anthropic", "", "claude-opus-5-5", 100_000, map[string]string{"max_tokens": "100000"}},
		"anthropic by default": {"anthropic", "", "claude-opus-5-5", 0, map[string]string{"max_tokens": "8192"}},
		"an old model":         {"anthropic", "", "claude-3-haiku-20240307", 0, map[string]string{"max_tokens": "4096"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{}
			cfg := omni.DefaultAgent()
			cfg.Provider, cfg.APIURL, cfg.Model, cfg.MaxTokens = tc.provider, tc.url, tc.model, tc.most
			_, err := provider.New(provider.Deps{HTTP: &http.Client{Transport: r}, OpenAIAPIKey: "k", AnthropicAPIKey: "k"}).Reply(t.Context(),
				omni.AgentRequest{Config: cfg, Messages: []omni.TurnMessage{{Text: "hi"}}})
			require.Error(t, err, "nothing is answered here")
			require.NotNil(t, r.asked, err)
			got := map[string]string{}
			for field, value := range r.asked {
				if strings.HasPrefix(field, "max_") {
					got[field] = string(value)
				}
			}
			if tc.want == nil {
				tc.want = map[string]string{}
			}
			require.Equal(t, tc.want, got)
		})
	}
}

// An answer that ends where it may be no longer goes out, and says so.
func TestAnswersThatAreCutShortSaySo(t *testing.T) {
	t.Parallel()
	everyProvider(t, func(t *testing.T, p protocol) {
		if p.tooLong == "" {
			return // the protocol has no word for it
		}
		s := p.serve(t, answers(200, p.contentType(), strings.NewReplacer(p.fine, p.tooLong).Replace(p.answer("It begins"))))
		got, err := p.ask(t.Context(), p.request(s.URL))
		require.NoError(t, err)
		require.Equal(t, "It begins", got.Text)
		require.Equal(t, true, got.Details["truncated"])

		s = p.serve(t, answers(200, p.contentType(), p.answer("All of it")))
		got, err = p.ask(t.Context(), p.request(s.URL))
		require.NoError(t, err)
		require.NotContains(t, got.Details, "truncated")

		e, _ := p.fails(t, answers(200, p.contentType(), strings.NewReplacer(p.fine, p.tooLong).Replace(p.empty)))
		require.Equal(t, omni.AgentEmpty, e.Kind)
		require.Contains(t, e.Reason, "maxTokens", "it says what to do")
	})
}

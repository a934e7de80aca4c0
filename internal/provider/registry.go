package provider

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// Deps is what providers are handed.
type Deps struct {
	HTTP  *http.Client // guarded (internal/safehttp), without an overall timeout
	Files Files        // what the hub keeps of attachments; nil: they are fetched from where they are

	// The hub's own account, used by instances that name neither URL nor key.
	OpenAIAPIKey     string
	OpenAIBaseURL    string // "": OpenAI's own
	AnthropicAPIKey  string
	AnthropicBaseURL string // "": Anthropic's own
}

// Files are the bytes of attachments, by the id of message.Media.
type Files interface {
	Open(id uuid.UUID) (io.ReadSeekCloser, error)
}

// Registry answers with the provider that an agent's configuration names.
type Registry struct {
	providers map[string]replyFunc
}

type replyFunc func(context.Context, omni.AgentRequest) (omni.AgentReply, error)

// New makes the registry of all providers in this binary.
func New(deps Deps) *Registry {
	return &Registry{providers: map[string]replyFunc{
		"echo":      echo,
		"openai":    newOpenAI(deps).reply,
		"anthropic": newAnthropic(deps).reply,
		"agno":      (&agno{deps}).reply,
		"webhook":   (&webhook{deps}).reply,
		"custom":    (&custom{deps}).reply,
		"a2a":       (&agent2agent{deps: deps}).reply,
	}}
}

// Has reports whether a provider is in this binary.
func (r *Registry) Has(name string) bool {
	_, ok := r.providers[name]
	return ok
}

// Reply asks the agent once. Errors are *omni.AgentError, or the context's own
// where the caller ended it.
func (r *Registry) Reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	reply, ok := r.providers[req.Config.Provider]
	if !ok {
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentUnsupported,
			Reason: fmt.Sprintf("no agent provider %q in this build", req.Config.Provider)}
	}
	return reply(ctx, req)
}

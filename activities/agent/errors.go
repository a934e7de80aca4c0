package agent

import (
	"go.temporal.io/sdk/temporal"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/internal/omni"
)

// errorTypes are the stable types that histories hold.
var errorTypes = map[omni.AgentErrorKind]string{
	omni.AgentRateLimited:    activities.ErrTypeAgentRateLimited,
	omni.AgentTransient:      activities.ErrTypeAgentTransient,
	omni.AgentCut:            activities.ErrTypeAgentTransient,
	omni.AgentMalformed:      activities.ErrTypeAgentMalformed,
	omni.AgentEmpty:          activities.ErrTypeAgentMalformed,
	omni.AgentTooLarge:       activities.ErrTypeAgentMalformed,
	omni.AgentInvalid:        activities.ErrTypeAgentMalformed,
	omni.AgentBadCredentials: activities.ErrTypeAgentBadCredentials,
	omni.AgentBadRequest:     activities.ErrTypeAgentBadRequest,
	omni.AgentUnsupported:    activities.ErrTypeAgentUnsupported,
}

// applicationError is a failed call as Temporal must see it: whether to try
// again, and when.
func applicationError(e *omni.AgentError) error {
	return temporal.NewApplicationErrorWithOptions(e.Error(), errorTypes[e.Kind], temporal.ApplicationErrorOptions{
		NonRetryable: !e.Kind.Retryable(), NextRetryDelay: e.RetryAfter})
}

// finalError is a failure that might not be one the next time, when there is
// no next time.
func finalError(e *omni.AgentError) error {
	return temporal.NewApplicationErrorWithOptions(e.Error(), errorTypes[e.Kind], temporal.ApplicationErrorOptions{NonRetryable: true})
}

package workflows

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
)

// Names are wire format: histories and running executions hold them.
const (
	// TypeMessage is the workflow of one inbound message.
	TypeMessage = "Message"
	// TypeOutbound is the workflow of one message sent by API.
	TypeOutbound = "Outbound"
	// TypeTurn goes on with a turn whose leader is gone.
	TypeTurn = "Turn"
	// TypeFollowUp waits for the time of a follow-up and sends it.
	TypeFollowUp = "FollowUp"
	// TypeJanitor finds overdue turns.
	TypeJanitor = "Janitor"

	// QueuePipeline runs workflows and local activities.
	QueuePipeline = activities.QueuePipeline
)

// MessageWorkflowID is the workflow of an inbound message.
func MessageWorkflowID(messageID uuid.UUID) string { return "message/" + messageID.String() }

// OutboundWorkflowID is the workflow of a message sent by API.
func OutboundWorkflowID(tenant string, messageID uuid.UUID) string {
	return fmt.Sprintf("outbound/%s/%s", tenant, messageID)
}

// OutboundRetryWorkflowID is the workflow that goes on with such a message's
// dead letter, or after somebody's word on a part.
func OutboundRetryWorkflowID(tenant string, messageID, reason uuid.UUID) string {
	return fmt.Sprintf("outbound/%s/%s/%s", tenant, messageID, reason)
}

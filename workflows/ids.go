package workflows

import (
	"fmt"

	"github.com/google/uuid"
)

// Names are wire format: histories and running executions hold them.
const (
	// TypeMessage is the workflow of one inbound message.
	TypeMessage = "Message"
	// TypeOutbound is the workflow of one message sent by API.
	TypeOutbound = "Outbound"
	// TypeTurn goes on with a turn whose leader is gone.
	TypeTurn = "Turn"
	// TypeJanitor finds overdue turns.
	TypeJanitor = "Janitor"

	// QueuePipeline runs workflows and local activities.
	QueuePipeline = "omni-pipeline"
	// QueueAgents runs agent calls that are not quick.
	QueueAgents = "omni-agents"
	// QueueDelivery runs deliveries that are not quick.
	QueueDelivery = "omni-delivery"
)

// MessageWorkflowID is the workflow of an inbound message.
func MessageWorkflowID(messageID uuid.UUID) string { return "message/" + messageID.String() }

// OutboundWorkflowID is the workflow of a message sent by API.
func OutboundWorkflowID(tenant string, messageID uuid.UUID) string {
	return fmt.Sprintf("outbound/%s/%s", tenant, messageID)
}

// TurnWorkflowID is the workflow that adopted a turn at an epoch.
func TurnWorkflowID(turnID uuid.UUID, epoch int) string {
	return fmt.Sprintf("turn/%s/%d", turnID, epoch)
}

package omni

import (
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// DefaultTenant owns everything until a second tenant exists.
const DefaultTenant = "default"

// derive makes a UUIDv8 (RFC 9562: vendor-specific) from a name. The same
// parts give the same id for ever: that is what makes an event known at the
// edge, and every upsert idempotent.
func derive(space string, parts ...string) uuid.UUID {
	h := sha256.New()
	h.Write([]byte(space))
	for _, p := range parts {
		// Lengths keep ("a","bc") and ("ab","c") apart.
		h.Write([]byte(strconv.Itoa(len(p))))
		h.Write([]byte{':'})
		h.Write([]byte(p))
	}
	var id uuid.UUID
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ExternalKey is the external id of pipeline.md: "<kind>/<platform event id>/<revision>".
func ExternalKey(in message.Inbound) string {
	return fmt.Sprintf("%s/%s/%d", in.Kind, in.ID, in.Revision)
}

// MessageID is the id of an inbound event, known at the edge.
func MessageID(instanceID uuid.UUID, externalKey string) uuid.UUID {
	return derive("message", instanceID.String(), externalKey)
}

// TargetMessageID is the id of the message a platform id names, as the target
// of an edit, a reaction or a reply.
func TargetMessageID(instanceID uuid.UUID, platformID string) uuid.UUID {
	return MessageID(instanceID, ExternalKey(message.Inbound{Kind: message.KindMessage, ID: platformID}))
}

// ChatID is the id of a chat.
func ChatID(instanceID uuid.UUID, externalChatID string) uuid.UUID {
	return derive("chat", instanceID.String(), externalChatID)
}

// IdentityID is the id of one account on one instance.
func IdentityID(instanceID uuid.UUID, platformUserID string) uuid.UUID {
	return derive("identity", instanceID.String(), platformUserID)
}

// FirstPersonID is the person an identity begins with. Links and merges give
// the identity another person later.
func FirstPersonID(identityID uuid.UUID) uuid.UUID {
	return derive("person", identityID.String())
}

// TurnID is the id of the turn that a message leads for the nth time (0 at first).
func TurnID(leaderMessageID uuid.UUID, n int) uuid.UUID {
	return derive("turn", leaderMessageID.String(), strconv.Itoa(n))
}

// FollowUpTurnID is the id of the turn that sends the nth follow-up of a turn.
func FollowUpTurnID(turnID uuid.UUID, n int) uuid.UUID {
	return derive("followup", turnID.String(), strconv.Itoa(n))
}

// PartID is the id of the outbound message that is part i of a turn's answer.
// It is also the part's idempotency key.
func PartID(turnID uuid.UUID, index int) uuid.UUID {
	return derive("part", turnID.String(), strconv.Itoa(index))
}

// OutboundPartID is the id of part i of a message that was sent by API. The
// first has the message's own.
func OutboundPartID(messageID uuid.UUID, index int) uuid.UUID {
	if index == 0 {
		return messageID
	}
	return PartID(messageID, index)
}

// OutboundID is the id of the message that POST /messages creates under a key.
func OutboundID(tenant, idempotencyKey string) uuid.UUID {
	return derive("outbound", tenant, idempotencyKey)
}

package omni

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// EventAgentStream is the type of a piece of an answer that is being said. It
// is not an event of the log: it has no position, and one that is missed is
// gone. The whole answer is in agent.response.
const EventAgentStream EventType = "agent.stream"

// StreamState says how the call of an agent stands.
type StreamState string

// The states of a streamed call. Each but the first is on its last frame.
const (
	StreamStreaming StreamState = "streaming"
	StreamDone      StreamState = "done"      // the answer is stored
	StreamFailed    StreamState = "failed"    // the call may be repeated, under another CallID
	StreamCancelled StreamState = "cancelled" // the turn was cut off, or is somebody else's
)

// AgentStream is one frame: the next piece of an answer. Seq counts the frames
// of one call from 1, and Offset the characters (Unicode code points) that
// were said before Text: who comes late, or misses one, can tell. A call that
// is repeated begins anew under another CallID; what was said under the
// former one is void.
type AgentStream struct {
	TurnID     uuid.UUID     `json:"turnId"`
	CallID     uuid.UUID     `json:"callId"`
	InstanceID uuid.UUID     `json:"instanceId"`
	ChatID     uuid.UUID     `json:"chatId"`
	PersonID   uuid.NullUUID `json:"personId"`  // who wrote the first message of the turn
	MessageID  uuid.UUID     `json:"messageId"` // that message
	Seq        int           `json:"seq"`
	Offset     int           `json:"offset"`
	Text       string        `json:"text"`
	State      StreamState   `json:"state"`

	TenantID string `json:"-"`
}

// CloudEvent is the frame's outside form, on NATS and live: a CloudEvent
// without a position.
func (f AgentStream) CloudEvent() ([]byte, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encoding a piece of the answer of turn %s: %w", f.TurnID, err)
	}
	return CloudEvent(Event{ID: uuid.New(), TenantID: f.TenantID, Type: EventAgentStream, Time: time.Now(), Subject: f.TurnID.String(),
		InstanceID: f.InstanceID, CorrelationID: uuid.NullUUID{UUID: f.MessageID, Valid: true}, Data: data})
}

// ParseAgentStream reads what AgentStream.CloudEvent wrote, as an event that
// can be filtered.
func ParseAgentStream(b []byte) (*Event, error) {
	var ce cloudEvent
	if err := json.Unmarshal(b, &ce); err != nil {
		return nil, fmt.Errorf("reading a piece of an answer: %w", err)
	}
	var f AgentStream
	if err := json.Unmarshal(ce.Data, &f); err != nil {
		return nil, fmt.Errorf("reading the data of a piece of an answer: %w", err)
	}
	if ce.Type != EventAgentStream || ce.TenantID == "" || f.InstanceID == uuid.Nil {
		return nil, fmt.Errorf("reading a piece of an answer: type %q of tenant %q is none", ce.Type, ce.TenantID)
	}
	at, err := time.Parse(time.RFC3339Nano, ce.Time)
	if err != nil {
		return nil, fmt.Errorf("reading the time of a piece of an answer: %w", err)
	}
	return &Event{TenantID: ce.TenantID, Type: ce.Type, Time: at, Subject: ce.Subject, InstanceID: f.InstanceID,
		ChatID: uuid.NullUUID{UUID: f.ChatID, Valid: f.ChatID != uuid.Nil}, PersonID: f.PersonID,
		CorrelationID: uuid.NullUUID{UUID: f.MessageID, Valid: true}, Data: ce.Data}, nil
}

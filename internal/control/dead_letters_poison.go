package control

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/omnihub/omni/internal/omni"
)

// poison is the input of an event that was never recorded: read, or as it came.
type poison struct {
	Subject  string         `json:"subject"`
	Envelope *omni.Envelope `json:"envelope"`
	Payload  []byte         `json:"payload"`
}

// republish puts a poison event on its stream once more, where the recorder
// and the starter find it like any other. Recorded twice it would be written
// once; should it be refused again, there is a new dead letter.
func (s *DeadLetters) republish(ctx context.Context, r *omni.DeadLetterRetry) error {
	if s.inbound == nil {
		return &Error{Kind: KindUnavailable, Code: CodeUnavailable, Detail: "events cannot be published from here"}
	}
	var p poison
	if err := json.Unmarshal(r.Input, &p); err != nil {
		return fmt.Errorf("reading dead letter %s: %w", r.ID, err)
	}
	payload := p.Payload
	if p.Envelope != nil {
		var err error
		if payload, err = omni.InboundCloudEvent(p.Envelope); err != nil {
			return err
		}
	}
	return s.inbound.RepublishInbound(ctx, p.Subject, payload, "dead-letter/"+r.ID.String())
}

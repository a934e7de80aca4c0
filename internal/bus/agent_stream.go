package bus

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// agentStreamSubjects matches every agentStreamSubject. No stream keeps them.
const agentStreamSubjects = "agent.stream.*"

func agentStreamSubject(turnID uuid.UUID) string { return "agent.stream." + turnID.String() }

const subscribeWithin = 2 * time.Second

// PublishAgentStream tells whoever listens now the next piece of a turn's
// answer (omni.AgentStream as a CloudEvent). It does not wait for anybody.
func (b *Bus) PublishAgentStream(turnID uuid.UUID, frame []byte) error {
	return b.notify(agentStreamSubject(turnID), frame)
}

// OnAgentStream calls fn, one at a time, with every such piece of any turn,
// until stop is called. One that takes too long misses some.
func (b *Bus) OnAgentStream(fn func(frame []byte)) (stop func(), err error) {
	stop, err = b.subscribe(agentStreamSubjects, func(m *nats.Msg) { fn(m.Data) })
	if err != nil {
		return nil, err
	}
	// Once this has returned nothing is missed: the server has to know it first.
	if err := b.conn.FlushTimeout(subscribeWithin); err != nil {
		stop()
		return nil, fmt.Errorf("subscribing to %s: %w", agentStreamSubjects, err)
	}
	return stop, nil
}

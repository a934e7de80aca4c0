package agent

import (
	"context"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// speech has the call told on while it lasts, where the agent is to stream.
func (c *call) speech(req *omni.AgentRequest) *speech {
	if c.Streams == nil || !c.agent.Streaming {
		return nil
	}
	first := omni.AgentStream{TenantID: c.turn.TenantID, TurnID: c.turn.TurnID, InstanceID: c.turn.InstanceID, ChatID: c.turn.ChatID,
		MessageID: c.turn.Leader, PersonID: req.Messages[0].PersonID}
	said := newSpeech(first, func(f omni.AgentStream) {
		if b, err := f.CloudEvent(); err == nil {
			_ = c.Streams.PublishAgentStream(f.TurnID, b) // nobody waits for it
		}
	})
	req.OnDelta = said.hear
	return said
}

// live shows the answer in its chat while it lasts, where the agent is to
// stream.
func (c *call) live(ctx context.Context, req *omni.AgentRequest) *liveAnswer {
	if c.Live == nil || !c.agent.Streaming {
		return nil
	}
	w := c.Live.WriteLive(ctx, c.turn, req.Chat.Type, c.texts)
	if w == nil {
		return nil
	}
	tell := req.OnDelta
	req.OnDelta = func(text string) {
		if tell != nil {
			tell(text)
		}
		w.Hear(omni.CleanText(text)) // as the whole answer will be
	}
	return &liveAnswer{LiveWriter: w, call: c}
}

// liveAnswer is what is shown of one call's answer. A nil one is nothing.
type liveAnswer struct {
	LiveWriter
	call   *call
	stored bool // the delivery goes on with it
}

func (l *liveAnswer) stop() {
	if l != nil {
		l.Stop()
	}
}

// retire takes back what the answer turned out not to be.
func (l *liveAnswer) retire(ctx context.Context, answer []message.Content) error {
	if l == nil {
		return nil
	}
	return l.call.Live.RetireLive(context.WithoutCancel(ctx), l.call.turn, answer)
}

// handOn leaves the chat to the delivery of the answer, which is stored.
func (l *liveAnswer) handOn() {
	if l != nil {
		l.stored = true
	}
}

// release lets others write in the chat where no delivery follows.
func (l *liveAnswer) release(ctx context.Context) {
	if l == nil {
		return
	}
	l.Stop() // also where the call panicked
	if !l.stored {
		l.Release(ctx)
	}
}

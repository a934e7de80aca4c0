package workers

import (
	"context"
	"errors"
	"io"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/activities/access"
	"github.com/omnihub/omni/activities/agent"
	"github.com/omnihub/omni/activities/deliver"
	"github.com/omnihub/omni/activities/identity"
	"github.com/omnihub/omni/activities/media"
	"github.com/omnihub/omni/activities/turn"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/blob"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/telemetry"
)

// steps are the implementations of the catalogue, handed what they need.
type steps struct {
	identity *identity.Activities
	access   *access.Activities
	turn     *turn.Activities
	agent    *agent.Activities
	deliver  *deliver.Activities
	media    *media.Activities
}

func newSteps(d Deps) steps {
	var store StepStore = d.Store
	if d.Steps != nil {
		store = d.Steps
	}
	var gateway deliver.Gateway = d.Bus
	if d.Gateway != nil {
		gateway = d.Gateway
	}
	sender := &deliver.Activities{Store: store, Gateway: gateway, Instances: d.Instances, Cancels: d.Bus,
		Capabilities: capabilities, Latencies: &d.Latencies.channels, Observe: d.Metrics.Deliver, Replied: d.Metrics.ReplyLatency,
		Owner: d.Owner, Process: d.Process}
	return steps{
		identity: &identity.Activities{Store: store, Log: d.Bus, Instances: d.Instances},
		access:   &access.Activities{Store: store, Instances: d.Instances, Engine: d.Engine, Observe: d.Metrics.AccessDecision},
		turn: &turn.Activities{Store: store, Instances: d.Instances, Agents: d.agents(), Quick: d.Latencies.agents(d), Typing: d.Bus, Engine: d.Engine,
			Cancels: d.Bus, AgentHere: d.AgentHere, Process: d.Process},
		agent: &agent.Activities{Store: store, Silence: agent.SilenceLooks(), Provider: d.Providers, Instances: d.Instances, Agents: d.agents(), Cancels: d.Bus,
			Capabilities: capabilities, CheckURL: d.CheckURL, Quick: d.Latencies.agents(d), Deliveries: &d.Latencies.channels,
			Sender: sender, Process: d.Process, Typer: typer{gateway}, Live: live{sender}, Streams: d.Bus, Observe: d.Metrics.Agent,
			Spent: Spent(d.Metrics)},
		deliver: sender,
		media:   &media.Activities{Store: store, Instances: d.Instances, Files: d.Bus, HTTP: d.HTTP, Keep: keep(d.Blobs)},
	}
}

// keep puts the bytes of attachments into a store.
func keep(blobs *blob.Files) media.Keep {
	return func(id uuid.UUID, r io.Reader, limit int64) (int64, string, error) {
		info, err := blobs.Put(id, r, limit)
		if errors.Is(err, blob.ErrTooLarge) {
			err = media.ErrTooLarge
		}
		return info.Size, info.SHA256, err
	}
}

// Spent counts what agents' calls took, by names that are few.
func Spent(m *telemetry.Metrics) func(ctx context.Context, provider, model string, used omni.AgentUsage, cost *omni.Cost) {
	return func(ctx context.Context, provider, model string, used omni.AgentUsage, cost *omni.Cost) {
		model = omni.PricedModel(model)
		m.AgentTokens(ctx, provider, model, used.InputTokens, used.OutputTokens)
		if cost != nil {
			m.AgentCost(ctx, provider, model, cost.Currency, cost.Amount)
		}
	}
}

// capabilities of a channel that this binary does not hold are those of a
// foreign one: plain text, and nothing assumed.
func capabilities(channelType string) channels.Capabilities {
	if c, ok := channels.Lookup(channelType); ok {
		return c.Info().Capabilities
	}
	return channels.Capabilities{Send: []message.ContentType{message.TypeText}, LengthUnit: channels.UnitRunes, Markup: channels.MarkupPlain}
}

// live shows answers while they are being said, by the code that delivers them.
type live struct{ *deliver.Activities }

func (l live) WriteLive(ctx context.Context, turn activities.TurnRef, chat message.ChatType, split func(string) []string) agent.LiveWriter {
	if w := l.Activities.WriteLive(ctx, turn, chat, split); w != nil {
		return w
	}
	return nil
}

// typer shows the typing indicator through the gateway.
type typer struct{ gateway deliver.Gateway }

func (t typer) Typing(ctx context.Context, channelType string, instanceID uuid.UUID, chat message.Chat) error {
	return deliver.ShowTyping(ctx, t.gateway, channelType, instanceID, uuid.New(), chat)
}

package main

import (
	"context"
	"time"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/custom"
	"github.com/omnihub/omni/channels/message"
)

// twinType is the channel's name in an instance.
const twinType = "bench"

// twin is the custom channel with nobody behind it: the same webhook, but a
// send only notes that it was made.
type twin struct {
	custom.Channel
	sends *tracker
}

var (
	_ channels.Channel         = twin{}
	_ channels.WebhookReceiver = twin{}
)

// Info is the custom channel's under another name.
func (t twin) Info() channels.Info {
	info := t.Channel.Info()
	info.Type, info.Name = twinType, "Benchmark"
	return info
}

// New makes a session that is connected at once.
func (t twin) New(channels.Config, channels.Deps) (channels.Session, error) {
	return twinSession{sends: t.sends}, nil
}

type twinSession struct{ sends *tracker }

func (s twinSession) Start(_ context.Context, in channels.Sink) error {
	in.State(channels.State{Status: channels.StatusActive})
	return nil
}

func (s twinSession) Stop(context.Context) error { return nil }

// Send is the end of a message's way.
func (s twinSession) Send(_ context.Context, out message.Outbound) (message.Receipt, error) {
	s.sends.done(out.Chat.ID)
	return message.Receipt{ExternalID: "sent-" + out.ID, At: time.Now()}, nil
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/custom/customtest"
)

// The workloads.
const (
	nameFloor  = "floor"
	nameEcho   = "echo"
	nameSlow   = "slow"
	nameIngest = "ingest"
)

// workload is one kind of message and the way it takes.
type workload struct {
	name    string
	sends   *tracker
	posters int // that begin messages at once
	window  int // messages under way in the closed loop
	newKey  func() string
	// send begins a message and returns once it is accepted.
	send func(ctx context.Context, key string) (uuid.UUID, error)
	rows bool // a message has arrived once its row can be read
}

const (
	// starters is how many workflows the hub starts at once (workers/ingest).
	starters = 48
	// posters is how many programs call the webhook at once.
	posters = 64
)

var keys atomic.Uint64

func newChatKey() string { return "c" + strconv.FormatUint(keys.Add(1), 10) }

func floorWorkload(f *floor) *workload {
	return &workload{name: nameFloor, sends: f.sends, posters: starters, window: 256, newKey: uuid.NewString, send: f.start}
}

// object is a piece of JSON.
type object map[string]any

// hubWorkload makes an instance with this agent (nil: none) and the messages
// that go to it.
func hubWorkload(ctx context.Context, h *hub, name string, sends *tracker, agent object, window int) (*workload, error) {
	secret := customtest.NewSecret()
	body := object{"name": name, "channel": twinType, "channelConfig": object{"secret": secret}}
	if agent != nil {
		body["agent"] = agent
	}
	var created struct{ ID string }
	if err := h.call(ctx, "POST", "/api/v1/instances", body, &created); err != nil {
		return nil, err
	}
	if err := h.awaitActive(ctx, created.ID); err != nil {
		return nil, err
	}
	client := &customtest.Client{URL: h.url("/webhook/" + twinType + "/" + created.ID), Secret: secret, HTTP: h.http}
	w := &workload{name: name, sends: sends, posters: posters, window: window, newKey: newChatKey, rows: agent == nil}
	w.send = func(ctx context.Context, key string) (uuid.UUID, error) {
		answer, err := client.SendText(ctx, "m-"+key, key, "u-"+key, messageText)
		if err != nil {
			return uuid.Nil, err
		}
		if w.rows {
			sends.done(key)
		}
		id, err := uuid.Parse(answer.MessageID)
		if err != nil {
			return uuid.Nil, fmt.Errorf("reading the answer to a webhook: %w", err)
		}
		return id, nil
	}
	return w, nil
}

func (h *hub) awaitActive(ctx context.Context, instance string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		var state struct{ Status string }
		if err := h.call(ctx, "GET", "/api/v1/instances/"+instance, nil, &state); err != nil {
			return err
		}
		if state.Status == "active" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("instance %s is %s", instance, state.Status)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

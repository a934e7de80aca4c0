package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

const (
	doctorPoll    = 50 * time.Millisecond
	doctorCleanup = 10 * time.Second
)

// sendThrough makes a web chat with the echo agent, writes to it, and returns
// the trace of the message once it is answered. Web chat, because it needs
// nothing outside of the hub, and no way from the hub to us.
func sendThrough(ctx context.Context, client *apiClient) (trace *omni.Trace, took time.Duration, err error) {
	id, err := makeDoctorInstance(ctx, client)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), doctorCleanup)
		defer cancel()
		if _, deleteErr := client.request(cleanup, http.MethodDelete, "/api/v1/instances/"+id, nil, nil); deleteErr != nil {
			err = errors.Join(err, fmt.Errorf("removing the instance %s: %w", id, deleteErr))
		}
	}()
	messageID, took, err := chat(ctx, client.base, id)
	if err != nil {
		return nil, 0, err
	}
	trace, err = awaitTrace(ctx, client, messageID)
	return trace, took, err
}

func makeDoctorInstance(ctx context.Context, client *apiClient) (string, error) {
	answer, err := client.request(ctx, http.MethodPost, "/api/v1/instances", nil, map[string]any{
		"name": "omni doctor", "channel": "webchat", "agent": map[string]any{"provider": "echo"},
	})
	if err != nil {
		return "", fmt.Errorf("creating an instance: %w", err)
	}
	var instance struct {
		ID           string `json:"id"`
		Status       string `json:"status"`
		StatusReason string `json:"statusReason"`
	}
	for {
		if err := json.Unmarshal(answer.Data, &instance); err != nil {
			return "", fmt.Errorf("reading the instance: %w", err)
		}
		if instance.Status == "active" {
			return instance.ID, nil
		}
		if err := sleep(ctx, doctorPoll); err != nil {
			return "", fmt.Errorf("waiting for the instance to connect (%s %s): %w", instance.Status, instance.StatusReason, err)
		}
		if answer, err = client.request(ctx, http.MethodGet, "/api/v1/instances/"+instance.ID, nil, nil); err != nil {
			return "", fmt.Errorf("reading the instance: %w", err)
		}
	}
}

// frame is what a chat page and the hub say to each other (channels/webchat).
type frame struct {
	Type      string `json:"type"`
	Visitor   string `json:"visitor,omitempty"`
	ID        string `json:"id,omitempty"`
	Text      string `json:"text,omitempty"`
	MessageID string `json:"messageId,omitempty"`
	Detail    string `json:"detail,omitempty"`
	Message   *struct {
		Outbound bool `json:"outbound"`
		Content  struct {
			Text string `json:"text"`
		} `json:"content"`
	} `json:"message,omitempty"`
}

// chat writes one message as a visitor and waits for the same words back.
func chat(ctx context.Context, base, instanceID string) (messageID string, took time.Duration, err error) {
	conn, _, err := websocket.Dial( //nolint:bodyclose // the library says that it needs no closing
		ctx, "ws"+strings.TrimPrefix(base, "http")+"/chat/"+instanceID+"/ws", nil)
	if err != nil {
		return "", 0, fmt.Errorf("opening the chat page's socket: %w", err)
	}
	defer func() { _ = conn.CloseNow() }()
	words := "omni doctor " + rand.Text()
	if err := wsjson.Write(ctx, conn, frame{Type: "hello", Visitor: rand.Text() + rand.Text()}); err != nil {
		return "", 0, fmt.Errorf("greeting the chat: %w", err)
	}
	var began time.Time
	for {
		var in frame
		if err := wsjson.Read(ctx, conn, &in); err != nil {
			return "", 0, fmt.Errorf("waiting for the answer: %w", err)
		}
		switch {
		case in.Type == "error":
			return "", 0, fmt.Errorf("the chat refused the message: %s", in.Detail)
		case in.Type == "ready" && began.IsZero():
			began = time.Now()
			if err := wsjson.Write(ctx, conn, frame{Type: "message", ID: uuid.NewString(), Text: words}); err != nil {
				return "", 0, fmt.Errorf("writing to the chat: %w", err)
			}
		case in.Type == "ack":
			messageID = in.MessageID
		case in.Type == "message" && in.Message != nil && in.Message.Outbound && in.Message.Content.Text == words:
			took = time.Since(began)
		}
		if messageID != "" && took > 0 {
			return messageID, took, nil
		}
	}
}

// awaitTrace reads the trace until the message is done: the last events are
// written after the answer has left.
func awaitTrace(ctx context.Context, client *apiClient, messageID string) (*omni.Trace, error) {
	for {
		answer, err := client.request(ctx, http.MethodGet, "/api/v1/messages/"+messageID+"/trace", nil, nil)
		if err != nil {
			return nil, fmt.Errorf("reading the trace: %w", err)
		}
		trace := &omni.Trace{}
		if err := json.Unmarshal(answer.Data, trace); err != nil {
			return nil, fmt.Errorf("reading the trace: %w", err)
		}
		if trace.Status == omni.StatusAnswered {
			return trace, nil
		}
		if err := sleep(ctx, doctorPoll); err != nil {
			return nil, fmt.Errorf("waiting for message %s to be done (it is %s): %w", messageID, trace.Status, err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

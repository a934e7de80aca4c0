package custom

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/omnihub/omni/channels"
)

// ReceiveWebhook verifies the raw body, parses it, stores the event and only
// then answers 202. Everything refused is a *channels.WebhookError.
func (Channel) ReceiveWebhook(ctx context.Context, cfg channels.Config, req channels.WebhookRequest, in channels.Sink) (channels.WebhookResponse, error) {
	var c config
	if err := cfg.Decode(&c); err != nil {
		return channels.WebhookResponse{}, fmt.Errorf("reading channelConfig: %w", err)
	}
	key, err := parseSecret(c.Secret)
	if err != nil {
		return channels.WebhookResponse{}, fmt.Errorf("reading channelConfig: %w", err)
	}
	if req.Method != http.MethodPost {
		return channels.WebhookResponse{}, &channels.WebhookError{Status: http.StatusMethodNotAllowed,
			Code: "method_not_allowed", Detail: "events are sent with POST"}
	}
	if err := verify(key, req.Header, req.Body, req.Now); err != nil {
		return channels.WebhookResponse{}, &channels.WebhookError{Status: http.StatusUnauthorized,
			Code: "invalid_signature", Detail: err.Error()}
	}
	event, err := parse(req.Body, req.Now, cfg.CheckFetchable)
	if err != nil {
		return channels.WebhookResponse{}, err
	}
	ack, err := in.Publish(ctx, event, req.Body)
	if err != nil {
		return channels.WebhookResponse{}, fmt.Errorf("%w: %w", &channels.WebhookError{
			Status: http.StatusServiceUnavailable, Code: "not_stored",
			Detail: "the event could not be stored; send it again"}, err)
	}
	return accepted(ack)
}

func accepted(ack channels.Ack) (channels.WebhookResponse, error) {
	type data struct {
		ID        string `json:"id"`
		Duplicate bool   `json:"duplicate"`
	}
	body, err := json.Marshal(struct {
		Data data `json:"data"`
	}{data{ack.MessageID, ack.Duplicate}})
	if err != nil {
		return channels.WebhookResponse{}, fmt.Errorf("encoding answer: %w", err)
	}
	return channels.WebhookResponse{Status: http.StatusAccepted, Body: body}, nil
}

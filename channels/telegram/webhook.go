package telegram

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/omnihub/omni/channels"
)

// maxUpdate bounds one update; real ones are a few kilobytes.
const maxUpdate = 1 << 20

// usernameParam carries the bot's user name in the webhook's URL: the handler
// runs on any process and has no session to ask.
const usernameParam = "bot"

// webhookURL is where Telegram is told to call.
func webhookURL(cfg channels.Config, username string) (string, error) {
	if cfg.PublicURL == "" {
		return "", errors.New("mode webhook needs OMNI_PUBLIC_URL, where Telegram reaches this hub")
	}
	return fmt.Sprintf("%s/webhook/%s/%s?%s=%s", strings.TrimRight(cfg.PublicURL, "/"), Type, cfg.InstanceID,
		usernameParam, url.QueryEscape(username)), nil
}

// ReceiveWebhook checks the secret token, stores the update and only then
// answers 200.
func (Channel) ReceiveWebhook(ctx context.Context, cfg channels.Config, req channels.WebhookRequest, in channels.Sink) (channels.WebhookResponse, error) {
	var c config
	if err := cfg.Decode(&c); err != nil {
		return channels.WebhookResponse{}, fmt.Errorf("reading channelConfig: %w", err)
	}
	if req.Method != http.MethodPost {
		return channels.WebhookResponse{}, &channels.WebhookError{Status: http.StatusMethodNotAllowed,
			Code: "method_not_allowed", Detail: "updates are sent with POST"}
	}
	if !sameSecret(c.SecretToken, req.Header.Get("X-Telegram-Bot-Api-Secret-Token")) {
		return channels.WebhookResponse{}, &channels.WebhookError{Status: http.StatusUnauthorized,
			Code: "invalid_secret_token", Detail: "X-Telegram-Bot-Api-Secret-Token is not this instance's"}
	}
	if len(req.Body) > maxUpdate {
		return channels.WebhookResponse{}, &channels.WebhookError{Status: http.StatusRequestEntityTooLarge,
			Code: "too_large", Field: "body", Detail: fmt.Sprintf("the update has more than %d bytes", maxUpdate)}
	}
	me := account{id: c.botID()}
	if names := req.Query[usernameParam]; len(names) > 0 {
		me.username = names[0]
	}
	_, events, err := safeConvert(req.Body, me, req.Now)
	if err != nil {
		return channels.WebhookResponse{}, fmt.Errorf("%w: %w", &channels.WebhookError{Status: http.StatusBadRequest,
			Code: "malformed_body", Field: "body", Detail: "the body is not an update"}, err)
	}
	answer := []byte("{}")
	for _, event := range events {
		if id := pressOf(event); id != "" { // Telegram takes one call in our answer
			if call, err := json.Marshal(map[string]string{"method": "answerCallbackQuery", "callback_query_id": id}); err == nil {
				answer = call
			}
		}
		if _, err := in.Publish(ctx, event, req.Body); err != nil {
			return channels.WebhookResponse{}, fmt.Errorf("%w: %w", &channels.WebhookError{Status: http.StatusServiceUnavailable,
				Code: "not_stored", Detail: "the update could not be stored; send it again"}, err)
		}
	}
	return channels.WebhookResponse{Status: http.StatusOK, Body: answer}, nil
}

// sameSecret compares in constant time, lengths included. An instance without
// a secret takes no webhooks.
func sameSecret(want, got string) bool {
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

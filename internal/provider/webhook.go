package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/omnihub/omni/internal/omni"
)

// webhook posts a turn to a program of the operator's own, which answers in
// the response, or later where it says 202.
type webhook struct{ deps Deps }

func (w *webhook) reply(ctx context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	body, err := json.Marshal(newTurnBody(req))
	if err != nil {
		return omni.AgentReply{}, &omni.AgentError{Kind: omni.AgentBadRequest, Reason: "encoding the turn: " + err.Error()}
	}
	header, err := webhookHeader(req, body, time.Now())
	if err != nil {
		return omni.AgentReply{}, err
	}
	x := &exchange{}
	answer, err := x.post(ctx, w.deps.HTTP, plainCall{url: req.Config.APIURL, header: header, body: body, turn: req.TurnID,
		secrets: []string{req.APIKey}})
	if err != nil {
		return omni.AgentReply{}, err
	}
	if x.status == http.StatusAccepted {
		return omni.AgentReply{Later: true}, nil
	}
	reply, err := readAnswer(answer)
	if err != nil {
		return omni.AgentReply{}, answerFailure(ctx, x, err, req.APIKey)
	}
	return reply, nil
}

// signingSecret begins every secret of Standard Webhooks.
const signingSecret = "whsec_"

// webhookHeader signs the body, or shows the key.
func webhookHeader(req omni.AgentRequest, body []byte, now time.Time) (http.Header, error) {
	if !strings.HasPrefix(req.APIKey, signingSecret) {
		return bearer(req.APIKey, typeJSON), nil
	}
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimPrefix(req.APIKey, signingSecret), "=")) // generators differ in whether they pad
	if err != nil || len(key) == 0 {
		return nil, &omni.AgentError{Kind: omni.AgentBadCredentials, Reason: "apiKey begins with whsec_ and is no signing secret: the rest must be base64"}
	}
	signer, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, fmt.Errorf("making the signer of a webhook agent: %w", err)
	}
	signature, err := signer.Sign(req.TurnID.String(), now, body)
	if err != nil {
		return nil, fmt.Errorf("signing a turn: %w", err)
	}
	h := bearer("", typeJSON)
	h.Set("webhook-id", req.TurnID.String())
	h.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	h.Set("webhook-signature", signature)
	return h, nil
}

var errNothingSaid = errors.New("the agent answered nothing")

// readAnswer reads {"text"} or {"parts"}.
func readAnswer(body []byte) (omni.AgentReply, error) {
	if strings.TrimSpace(string(body)) == "" {
		return omni.AgentReply{}, errNothingSaid
	}
	var answer omni.AgentAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return omni.AgentReply{}, err
	}
	reply := answer.Reply()
	if strings.TrimSpace(reply.Text) == "" && len(reply.Parts) == 0 && len(reply.Actions) == 0 {
		return omni.AgentReply{}, errNothingSaid
	}
	return reply, nil
}

// answerFailure says what is wrong with an answer that arrived.
func answerFailure(ctx context.Context, x *exchange, err error, key string) error {
	if errors.Is(err, errNothingSaid) {
		return &omni.AgentError{Kind: omni.AgentEmpty, Status: x.status, Reason: err.Error()}
	}
	return x.failure(ctx, err, key)
}

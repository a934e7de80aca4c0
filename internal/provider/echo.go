package provider

import (
	"context"
	"strings"

	"github.com/omnihub/omni/internal/omni"
)

// echo answers with the texts of the turn's messages, one per line. Messages
// without text (a sticker) are passed over; a turn of only those gets nothing.
func echo(_ context.Context, req omni.AgentRequest) (omni.AgentReply, error) {
	texts := make([]string, 0, len(req.Messages))
	for _, m := range req.Messages {
		if m.Text != "" {
			texts = append(texts, m.Text)
		}
	}
	return omni.AgentReply{Text: strings.Join(texts, "\n")}, nil
}

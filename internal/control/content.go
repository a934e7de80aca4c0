package control

import (
	"slices"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// checkContent refuses a content that the channel cannot send, or that is not
// whole.
func checkContent(channel string, caps channels.Capabilities, content *message.Content) error {
	if content.Type == "" {
		content.Type = message.TypeText
	}
	var c checks
	for _, f := range omni.ContentFaults(content) {
		c.add("content."+f.Field, f.Reason)
	}
	if err := c.err(); err != nil {
		return err
	}
	if !slices.Contains(caps.Send, content.Type) {
		return NotSupported(channel, "content of type "+string(content.Type))
	}
	return nil
}

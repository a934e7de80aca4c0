package control

import (
	"context"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/omni"
)

// Channels lists the channels of this hub with what they can do.
func Channels(_ context.Context, _ *omni.APIKey) []channels.Info {
	all := channels.All()
	out := make([]channels.Info, 0, len(all))
	for _, c := range all {
		out = append(out, c.Info())
	}
	return out
}

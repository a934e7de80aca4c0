package v1

import (
	"context"
	"net/http"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/internal/control"
	"github.com/omnihub/omni/internal/omni"
)

func (r *routes) channels() {
	add(r, endpoint{id: "list-channels", method: http.MethodGet, path: "/channels", tag: "channels", scope: "instances:read",
		summary: "List the channels of this hub with what they can do, and the fields of their channelConfig"},
		func(ctx context.Context, who *omni.APIKey, _ *struct{}) (*many[channels.Info], error) {
			return manyOf(&control.List[channels.Info]{Items: control.Channels(ctx, who)}, nil)
		})
}

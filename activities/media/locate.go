package media

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// source is how an attachment came: with an address, or with a handle that its
// channel understands.
type source struct {
	channel  string
	instance uuid.UUID
	url, ref string
	size     int64 // as the platform says, 0 if it does not
}

func sourceOf(ref activities.MessageRef, m message.Media) source {
	return source{channel: ref.Channel, instance: ref.InstanceID, url: m.URL, ref: m.Ref, size: m.Size}
}

// name tells a source from what an edit has put in its place. It holds no secret.
func (s source) name() string {
	if s.url != "" {
		return s.url
	}
	return s.ref
}

// locate says where the bytes are. Of a handle the gateway that holds the
// instance is asked, at each try anew: what it answers is for a while only, and
// may hold a secret of the channel's. It goes into no text.
func (a *Activities) locate(ctx context.Context, f *omni.MediaFile, from source) (channels.FileLocation, *another) {
	if from.url != "" {
		return channels.FileLocation{URL: from.url}, nil
	}
	place, err := a.Files.File(ctx, from.channel, from.instance, from.ref, time.Now().Add(locateWithin))
	if err == nil {
		return place, nil
	}
	refused, ok := errors.AsType[*channels.SendError](err)
	if !ok {
		return place, &another{why: "its channel cannot be asked"}
	}
	switch refused.Kind {
	case channels.ErrTooLarge:
		fail(f, omni.MediaTooLarge, refused.Reason)
	case channels.ErrUnsupported:
		fail(f, omni.MediaRefused, "its channel cannot fetch files")
	case channels.ErrNotFound, channels.ErrRejected:
		fail(f, omni.MediaGone, refused.Reason)
	default: // the connection may come back, the limit pass
		return place, &another{why: "its channel could not fetch it: " + refused.Reason, after: refused.RetryAfter}
	}
	return place, nil
}

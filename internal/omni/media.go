package omni

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// MediaState is how far an attachment is.
type MediaState string

// The states. Both are final.
const (
	MediaReceived MediaState = "received" // its bytes are kept
	MediaFailed   MediaState = "failed"   // they will not be: Reason says why
)

// MediaReason is why an attachment was not fetched.
type MediaReason string

// The reasons.
const (
	MediaTooLarge    MediaReason = "too_large"   // more than media.maxBytes
	MediaGone        MediaReason = "gone"        // the platform does not have it, or does not give it
	MediaRefused     MediaReason = "refused"     // its address is one that must not be called
	MediaUnavailable MediaReason = "unavailable" // nobody answered in time
)

// MediaFile is an attachment of an inbound message.
type MediaFile struct {
	ID         uuid.UUID           `json:"id" format:"uuid"`
	TenantID   string              `json:"-"`
	InstanceID uuid.UUID           `json:"instanceId" format:"uuid"`
	ChatID     uuid.UUID           `json:"chatId" format:"uuid"`
	MessageID  uuid.UUID           `json:"messageId" format:"uuid"`
	Index      int                 `json:"index" doc:"which of the message's attachments, from 0"`
	Type       message.ContentType `json:"type"`
	MimeType   string              `json:"mimeType"`
	Filename   string              `json:"filename,omitempty"`
	Size       int64               `json:"size" doc:"bytes"`
	SHA256     string              `json:"sha256,omitempty"`
	State      MediaState          `json:"status" enum:"received,failed"`
	Reason     MediaReason         `json:"reason,omitempty"`
	Error      string              `json:"error,omitempty"`
	CreatedAt  time.Time           `json:"createdAt"`
}

// MediaID is the id of attachment i of a message.
func MediaID(messageID uuid.UUID, index int) uuid.UUID {
	return derive("media", messageID.String(), strconv.Itoa(index))
}

// Processes reports whether attachments of a type are processed.
func (c MediaConfig) Processes(t message.ContentType) bool {
	switch t { //nolint:exhaustive // the others have no attachments
	case message.TypeAudio:
		return c.ProcessAudio
	case message.TypeImage, message.TypeSticker:
		return c.ProcessImages
	case message.TypeVideo:
		return c.ProcessVideo
	case message.TypeDocument:
		return c.ProcessDocuments
	default:
		return false
	}
}

// MediaToFetch are the places of the attachments that an instance fetches: of
// the types that it processes, those with an address or a handle of the channel.
func MediaToFetch(c MediaConfig, content message.Content) []int {
	var places []int
	for i := range content.Media {
		if m := &content.Media[i]; (m.URL != "" || m.Ref != "") && c.Processes(m.Type) {
			places = append(places, i)
		}
	}
	return places
}

package control

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/omni"
)

// MediaStore is what the use cases of attachments need of the store.
type MediaStore interface {
	Media(ctx context.Context, tenant string, id uuid.UUID) (*omni.MediaFile, error)
}

// Blobs keeps bytes; what it does not have is an fs.ErrNotExist.
type Blobs interface {
	Open(id uuid.UUID) (io.ReadSeekCloser, error)
}

// Media are the use cases around attachments. Safe for concurrent use.
type Media struct {
	store MediaStore
	blobs Blobs
}

// Open returns an attachment with its bytes, which the caller closes. One that
// could not be fetched has none: media_failed.
func (s *Media) Open(ctx context.Context, who *omni.APIKey, id uuid.UUID) (*omni.MediaFile, io.ReadSeekCloser, error) {
	f, err := s.store.Media(ctx, who.TenantID, id)
	if err == nil && !who.Sees(f.InstanceID) {
		err = omni.ErrNotFound
	}
	if err != nil {
		return nil, nil, orNotFound(err, "attachment")
	}
	if f.State != omni.MediaReceived {
		return nil, nil, &Error{Kind: KindConflict, Code: CodeMediaFailed, Detail: "the attachment was not fetched (" + string(f.Reason) + "): " + f.Error}
	}
	if s.blobs == nil {
		return nil, nil, notFound("attachment")
	}
	bytes, err := s.blobs.Open(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, notFound("attachment")
	}
	return f, bytes, err
}

package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// Media reads an attachment. ErrNotFound if there is none.
func (s *Store) Media(ctx context.Context, tenant string, id uuid.UUID) (*omni.MediaFile, error) {
	row, err := s.q.GetMedia(ctx, dbsqlc.GetMediaParams{ID: id, TenantID: tenant})
	if err != nil {
		return nil, wrap(err, "reading attachment "+id.String())
	}
	return &omni.MediaFile{ID: row.ID, TenantID: row.TenantID, InstanceID: row.InstanceID, ChatID: row.ChatID, MessageID: row.MessageID,
		Index: int(row.Idx), Type: message.ContentType(row.Type), MimeType: row.MimeType, Filename: row.Filename, Size: row.Size,
		SHA256: row.Sha256, State: omni.MediaState(row.State), Reason: omni.MediaReason(row.Reason), Error: row.Error,
		CreatedAt: row.CreatedAt}, nil
}

// MediaKnown returns the places of a message's attachments of which it is known
// what became.
func (s *Store) MediaKnown(ctx context.Context, messageID uuid.UUID) ([]int, error) {
	rows, err := s.q.MediaOfMessage(ctx, messageID)
	if err != nil {
		return nil, wrap(err, "listing the attachments of message "+messageID.String())
	}
	places := make([]int, len(rows))
	for i, place := range rows {
		places[i] = int(place)
	}
	return places, nil
}

// RecordMedia says what became of an attachment that was fetched from an
// address, or by the channel's handle, with its event, once: later words change
// nothing.
func (s *Store) RecordMedia(ctx context.Context, f omni.MediaFile, from string, a omni.Attempt) error {
	if _, err := s.pool.Exec(ctx, `SELECT media_record($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`, f.ID, f.MessageID, f.Index, from, f.Type,
		f.MimeType, f.Filename, f.Size, f.SHA256, f.State, f.Reason, f.Error, a.StartedAt, a.Number); err != nil {
		return fmt.Errorf("recording attachment %s: %w", f.ID, err)
	}
	s.Nudge()
	return nil
}

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
	"github.com/omnihub/omni/internal/store/dbsqlc"
)

// ChatHistory reads what people see of one platform chat, oldest first: the
// first limit messages behind the given one, or the newest limit where after
// is uuid.Nil. A message of another chat, or unknown, has nothing behind it.
func (s *Store) ChatHistory(ctx context.Context, instanceID uuid.UUID, externalChatID string, after uuid.UUID, limit int) ([]channels.HistoryItem, error) {
	chat := omni.ChatID(instanceID, externalChatID)
	if after != uuid.Nil {
		rows, err := s.q.ChatHistoryAfter(ctx, dbsqlc.ChatHistoryAfterParams{ChatID: chat, ID: after, Limit: int32(limit)})
		if err != nil {
			return nil, wrap(err, "reading the history of a chat")
		}
		return historyItems(rows)
	}
	newest, err := s.q.ChatHistoryNewest(ctx, dbsqlc.ChatHistoryNewestParams{ChatID: chat, Limit: int32(limit)})
	if err != nil {
		return nil, wrap(err, "reading the history of a chat")
	}
	slices.Reverse(newest)
	rows := make([]dbsqlc.ChatHistoryAfterRow, len(newest))
	for i, r := range newest {
		rows[i] = dbsqlc.ChatHistoryAfterRow(r)
	}
	return historyItems(rows)
}

func historyItems(rows []dbsqlc.ChatHistoryAfterRow) ([]channels.HistoryItem, error) {
	items := make([]channels.HistoryItem, len(rows))
	for i, r := range rows {
		item := channels.HistoryItem{
			ID: r.ID.String(), Outbound: r.Direction == string(omni.DirectionOutbound), CreatedAt: r.ShownAt.In(time.UTC),
			Part: message.Part{Index: int(r.PartIndex), Count: int(r.PartCount)}, Deleted: r.Deleted,
		}
		if !item.Outbound {
			item.ClientID = r.ExternalID
		}
		if r.Deleted { // what it said is nobody's any more
			items[i] = item
			continue
		}
		if err := json.Unmarshal(r.Content, &item.Content); err != nil {
			return nil, fmt.Errorf("reading the content of message %s: %w", r.ID, err)
		}
		items[i] = item
	}
	return items, nil
}

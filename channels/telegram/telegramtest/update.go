package telegramtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// update is one thing that happened, as it is handed over.
type update struct {
	id  int64
	raw json.RawMessage
}

// notByDefault are the kinds of updates that a bot gets only by asking.
var notByDefault = []string{"message_reaction", "message_reaction_count", "chat_member"}

// User is a person.
type User struct {
	ID        int64  `json:"id"`
	FirstName string `json:"first_name"`
	Username  string `json:"username,omitempty"`
	IsBot     bool   `json:"is_bot"`
}

// Say lets a person write to the bot in their private chat. It returns the
// update's id and the message's.
func (s *Server) Say(u User, text string) (updateID int64, msgID int) {
	return s.push("message", map[string]any{"from": u, "chat": map[string]any{"id": u.ID, "type": "private",
		"first_name": u.FirstName, "username": u.Username}, "text": text})
}

// Push hands the bot an update of any kind: the name of its field ("message",
// "edited_message", "message_reaction"…) and its content. message_id and date
// are filled in where they are missing. It returns 0 as update id where the
// bot did not ask for that kind.
func (s *Server) Push(kind string, content map[string]any) (updateID int64, msgID int) {
	return s.push(kind, content)
}

func (s *Server) push(kind string, content map[string]any) (int64, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	msgID := s.keepIncoming(content)
	if _, ok := content["date"]; !ok && kind != "callback_query" {
		content["date"] = time.Now().Unix()
	}
	if len(s.allowed) > 0 && !slices.Contains(s.allowed, kind) || len(s.allowed) == 0 && slices.Contains(notByDefault, kind) {
		return 0, msgID
	}
	id := s.nextUpdate
	s.nextUpdate++
	raw, err := json.Marshal(map[string]any{"update_id": id, kind: content})
	if err != nil {
		panic("telegramtest: an update that cannot be encoded: " + err.Error())
	}
	u := update{id, raw}
	s.updates = append(s.updates, u)
	s.history[id] = u
	s.signal()
	return id, msgID
}

// keepIncoming registers chat and message of an update. The lock is held.
func (s *Server) keepIncoming(content map[string]any) int {
	raw, _ := json.Marshal(content["chat"])
	var head struct {
		ID    int64  `json:"id"`
		Type  string `json:"type"`
		Title string `json:"title"`
	}
	if json.Unmarshal(raw, &head) != nil || head.ID == 0 {
		return 0
	}
	c := s.chat(head.ID)
	if head.Type != "" {
		c.kind, c.title = head.Type, head.Title
	}
	switch id := content["message_id"].(type) {
	case int:
		return id
	case float64: // from JSON
		return int(id)
	}
	c.last++
	content["message_id"] = c.last
	text, _ := content["text"].(string)
	c.messages = append(c.messages, &Message{ID: c.last, Chat: c.id, Text: text, incoming: true})
	return c.last
}

// PushRaw hands over bytes of the test's own as an update. They must hold the
// update_id that is given; see NextUpdateID.
func (s *Server) PushRaw(id int64, raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := update{id, raw}
	s.updates = append(s.updates, u)
	s.history[id] = u
	s.nextUpdate = max(s.nextUpdate, id+1)
	s.signal()
}

// NextUpdateID is the id that the next update will have.
func (s *Server) NextUpdateID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nextUpdate
}

// Redeliver hands an update over once more, whatever was confirmed.
func (s *Server) Redeliver(updateID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = append(s.again, s.history[updateID])
	s.signal()
}

// Confirmed reports whether the bot has confirmed an update.
func (s *Server) Confirmed(updateID int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return updateID > 0 && updateID <= s.confirmed
}

// getUpdates has Telegram's rules: an offset confirms everything before it, a
// negative one all but the last; one poll at a time; none beside a webhook.
func (s *Server) getUpdates(r request) (any, *apiError) {
	offset, _ := strconv.ParseInt(r.params["offset"], 10, 64)
	limit, err := strconv.Atoi(r.params["limit"])
	if err != nil || limit < 1 || limit > 100 {
		limit = 100
	}
	seconds, _ := strconv.Atoi(r.params["timeout"])
	timeout := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timeout.Stop()

	s.mu.Lock()
	if s.hook != nil {
		s.mu.Unlock()
		return nil, &apiError{code: http.StatusConflict, desc: "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"}
	}
	if list, ok := r.params["allowed_updates"]; ok {
		s.allowed = nil
		_ = json.Unmarshal([]byte(list), &s.allowed)
	}
	s.pollers++
	mine := s.pollers
	s.confirm(offset)
	s.signal() // ends an older poll
	for {
		batch := s.batch(limit)
		changed, replaced, closed := s.changed, s.pollers != mine || s.hook != nil, s.closed
		s.mu.Unlock()
		switch {
		case replaced:
			return nil, &apiError{code: http.StatusConflict, desc: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"}
		case len(batch) > 0 || seconds == 0 || closed:
			return batch, nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			return []json.RawMessage{}, nil
		case <-r.ctx.Done():
			return []json.RawMessage{}, nil
		}
		s.mu.Lock()
	}
}

// confirm forgets what comes before an offset. The lock is held.
func (s *Server) confirm(offset int64) {
	if offset < 0 {
		if n := len(s.updates) + int(offset); n > 0 {
			offset = s.updates[n].id
		}
	}
	for len(s.updates) > 0 && s.updates[0].id < offset {
		s.confirmed = max(s.confirmed, s.updates[0].id)
		s.updates = s.updates[1:]
	}
}

// batch takes what is handed over next. The lock is held.
func (s *Server) batch(limit int) []json.RawMessage {
	out := []json.RawMessage{}
	for _, u := range s.again {
		out = append(out, u.raw)
	}
	s.again = nil
	for _, u := range s.updates {
		if len(out) == limit {
			break
		}
		out = append(out, u.raw)
	}
	return out
}

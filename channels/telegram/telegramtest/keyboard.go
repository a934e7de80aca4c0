package telegramtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// button is one of an inline keyboard, with the kinds that this fake knows.
type button map[string]any

// checkMarkup keeps the rules for what is shown under a message.
func checkMarkup(r request) *apiError {
	raw := r.params["reply_markup"]
	if raw == "" {
		return nil
	}
	var markup struct {
		Inline [][]button `json:"inline_keyboard"`
	}
	if json.Unmarshal([]byte(raw), &markup) != nil {
		return badRequest("can't parse reply keyboard markup JSON object")
	}
	n := 0
	for _, row := range markup.Inline {
		for _, b := range row {
			if n++; n > 100 {
				return badRequest("reply markup is too long")
			}
			if text, _ := b["text"].(string); strings.TrimSpace(text) == "" {
				return badRequest("inline keyboard button text must be non-empty")
			}
			if len(b) != 2 { // the text, and what it does
				return badRequest("text buttons are unallowed in the inline keyboard, and a button does one thing")
			}
			if data, given := b["callback_data"].(string); given && (data == "" || len(data) > 64) {
				return badRequest("BUTTON_DATA_INVALID")
			}
		}
	}
	return nil
}

// inlineOf is the inline keyboard of a call, nil if there is none.
func inlineOf(r request) json.RawMessage {
	raw := r.params["reply_markup"]
	if !strings.Contains(raw, `"inline_keyboard"`) {
		return nil
	}
	return json.RawMessage(raw)
}

func sameKeyboard(a, b json.RawMessage) bool { return bytes.Equal(a, b) }

// Press lets a person press the button with that data under a message of the
// bot's. It returns the update's id and the press's.
func (s *Server) Press(u User, chatID int64, msgID int, data string) (updateID int64, press string) {
	s.mu.Lock()
	c := s.chats[chatID]
	m := c.message(msgID)
	press = fmt.Sprint(4_000_000_000_000_000_000 + len(s.presses))
	s.presses[press] = false
	shown := s.render(c, m)
	s.mu.Unlock()
	updateID, _ = s.push("callback_query", map[string]any{"id": press, "from": u, "message": shown, "chat_instance": "1", "data": data})
	return updateID, press
}

// Answered reports whether the bot has answered a press: until then the button
// shows that it waits.
func (s *Server) Answered(press string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presses[press]
}

func (s *Server) answerCallbackQuery(r request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.params["callback_query_id"]
	if _, known := s.presses[id]; !known {
		return nil, badRequest("query is too old and response timeout expired or query ID is invalid")
	}
	s.presses[id] = true
	s.signal()
	return true, nil
}

package telegramtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Message is one message of a chat.
type Message struct {
	ID        int
	Chat      int64
	Topic     int
	Kind      string   // "text", "photo", "document"…
	Text      string   // or caption, without markup
	Entities  []Entity // the markup
	ReplyTo   int
	Deleted   bool
	Reactions []string // the bot's

	incoming bool
	keyboard json.RawMessage // inline, under it
	extra    map[string]any  // the part of the JSON that is of its kind
}

type chat struct {
	id       int64
	kind     string
	title    string
	last     int
	messages []*Message
	blocked  bool
	migrated int64
}

// chat finds or makes a chat. The lock is held.
func (s *Server) chat(id int64) *chat {
	c := s.chats[id]
	if c == nil {
		c = &chat{id: id, kind: "private"}
		if id < 0 {
			c.kind = "supergroup"
		}
		s.chats[id] = c
	}
	return c
}

func (c *chat) message(id int) *Message {
	for _, m := range c.messages {
		if m.ID == id && !m.Deleted {
			return m
		}
	}
	return nil
}

func (c *chat) json() map[string]any {
	out := map[string]any{"id": c.id, "type": c.kind}
	if c.kind == "private" {
		out["first_name"] = "User"
	} else {
		out["title"] = c.title
	}
	return out
}

// AddChat makes a chat known, as if the person had written before.
func (s *Server) AddChat(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chat(id)
}

// Block lets a person block the bot.
func (s *Server) Block(chatID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chat(chatID).blocked = true
}

// Migrate turns a group into a supergroup with another id.
func (s *Server) Migrate(from, to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chat(from).migrated = to
	s.chat(to)
}

// Sent is what the bot has sent to a chat and not deleted, as it reads now.
func (s *Server) Sent(chatID int64) []Message {
	var out []Message
	for _, m := range s.All(chatID) {
		if !m.Deleted {
			out = append(out, m)
		}
	}
	return out
}

// All is everything the bot has sent to a chat, the deleted included.
func (s *Server) All(chatID int64) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	if c := s.chats[chatID]; c != nil {
		for _, m := range c.messages {
			if !m.incoming {
				out = append(out, *m)
			}
		}
	}
	return out
}

// Message is one message of a chat, by id.
func (s *Server) Message(chatID int64, id int) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.chats[chatID]; c != nil {
		if m := c.message(id); m != nil {
			return *m, true
		}
	}
	return Message{}, false
}

func (s *Server) me() map[string]any {
	return map[string]any{"id": s.botID, "is_bot": true, "first_name": "Omni test", "username": s.Username()}
}

func (s *Server) getMe(request) (any, *apiError) {
	me := s.me()
	me["can_join_groups"], me["can_read_all_group_messages"], me["supports_inline_queries"] = true, false, false
	return me, nil
}

func (s *Server) getChat(r request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refused := s.target(r)
	if refused != nil {
		return nil, refused
	}
	return c.json(), nil
}

// target finds the chat of a call. The lock is held.
func (s *Server) target(r request) (*chat, *apiError) {
	given := r.params["chat_id"]
	if given == "" {
		return nil, badRequest("chat_id is empty")
	}
	id, err := strconv.ParseInt(given, 10, 64)
	if err != nil {
		return nil, badRequest("chat not found")
	}
	c := s.chats[id]
	switch {
	case c == nil:
		return nil, badRequest("chat not found")
	case c.migrated != 0:
		return nil, &apiError{code: http.StatusBadRequest, desc: "Bad Request: group chat was upgraded to a supergroup chat", migrateTo: c.migrated}
	case c.blocked:
		return nil, &apiError{code: http.StatusForbidden, desc: "Forbidden: bot was blocked by the user"}
	}
	return c, nil
}

// targetMessage finds the message of a call. The lock is held.
func (s *Server) targetMessage(r request, missing string) (*chat, *Message, *apiError) {
	c, refused := s.target(r)
	if refused != nil {
		return nil, nil, refused
	}
	id, _ := strconv.Atoi(r.params["message_id"])
	m := c.message(id)
	if m == nil {
		return nil, nil, badRequest("%s", missing)
	}
	return c, m, nil
}

// post keeps a message of the bot and renders it. The lock is held.
func (s *Server) post(c *chat, r request, m *Message) (any, *apiError) {
	if refused := c.applyReply(r, m); refused != nil {
		return nil, refused
	}
	m.Topic, _ = strconv.Atoi(r.params["message_thread_id"])
	m.keyboard = inlineOf(r)
	c.last++
	m.ID, m.Chat = c.last, c.id
	c.messages = append(c.messages, m)
	s.signal()
	return s.render(c, m), nil
}

func (c *chat) applyReply(r request, m *Message) *apiError {
	raw := r.params["reply_parameters"]
	if raw == "" {
		return nil
	}
	var p struct {
		MessageID                int  `json:"message_id"`
		AllowSendingWithoutReply bool `json:"allow_sending_without_reply"`
	}
	if json.Unmarshal([]byte(raw), &p) != nil {
		return badRequest("can't parse reply parameters JSON object")
	}
	if c.message(p.MessageID) == nil {
		if p.AllowSendingWithoutReply {
			return nil
		}
		return badRequest("message to be replied not found")
	}
	m.ReplyTo = p.MessageID
	return nil
}

func (s *Server) render(c *chat, m *Message) map[string]any {
	out := map[string]any{"message_id": m.ID, "from": s.me(), "chat": c.json(), "date": time.Now().Unix()}
	field, entities := "caption", "caption_entities"
	if m.Kind == "text" {
		field, entities = "text", "entities"
	}
	if m.Text != "" {
		out[field] = m.Text
	}
	if len(m.Entities) > 0 {
		out[entities] = m.Entities
	}
	if m.Topic != 0 {
		out["message_thread_id"], out["is_topic_message"] = m.Topic, true
	}
	if m.ReplyTo != 0 {
		out["reply_to_message"] = map[string]any{"message_id": m.ReplyTo, "chat": c.json(), "date": time.Now().Unix()}
	}
	if m.keyboard != nil {
		out["reply_markup"] = m.keyboard
	}
	maps.Copy(out, m.extra)
	return out
}

// sendChatAction knows the actions of the Bot API.
func (s *Server) sendChatAction(r request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, refused := s.target(r); refused != nil {
		return nil, refused
	}
	known := " typing upload_photo record_video upload_video record_voice upload_voice upload_document choose_sticker find_location record_video_note upload_video_note "
	if !strings.Contains(known, " "+r.params["action"]+" ") {
		return nil, badRequest("wrong parameter action in request")
	}
	return true, nil
}

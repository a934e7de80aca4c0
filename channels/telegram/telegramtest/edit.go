package telegramtest

import (
	"encoding/json"
	"reflect"
	"strings"
)

func (s *Server) editMessageText(r request) (any, *apiError) {
	text, entities, refused := formatted(r, "text", maxText)
	if refused != nil {
		return nil, refused
	}
	if strings.TrimSpace(text) == "" {
		return nil, badRequest("message text is empty")
	}
	return s.edit(r, text, entities, func(m *Message) *apiError {
		if m.Kind != "text" {
			return badRequest("there is no text in the message to edit")
		}
		return nil
	})
}

func (s *Server) editMessageCaption(r request) (any, *apiError) {
	text, entities, refused := formatted(r, "caption", maxCaption)
	if refused != nil {
		return nil, refused
	}
	return s.edit(r, text, entities, func(m *Message) *apiError {
		if m.Kind == "text" {
			return badRequest("there is no caption in the message to edit")
		}
		return nil
	})
}

func (s *Server) edit(r request, text string, entities []Entity, check func(*Message) *apiError) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, m, refused := s.targetMessage(r, "message to edit not found")
	if refused != nil {
		return nil, refused
	}
	if m.incoming {
		return nil, badRequest("message can't be edited")
	}
	if refused := check(m); refused != nil {
		return nil, refused
	}
	if refused := checkMarkup(r); refused != nil {
		return nil, refused
	}
	if m.Text == text && reflect.DeepEqual(m.Entities, entities) && sameKeyboard(m.keyboard, inlineOf(r)) {
		return nil, badRequest("message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message")
	}
	m.Text, m.Entities, m.keyboard = text, entities, inlineOf(r)
	s.signal()
	return s.render(c, m), nil
}

func (s *Server) deleteMessage(r request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, m, refused := s.targetMessage(r, "message to delete not found")
	if refused != nil {
		return nil, refused
	}
	m.Deleted = true
	s.signal()
	return true, nil
}

// reactions are some of the emoji that Telegram allows.
const reactions = "👍👎❤🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏👌🕊🤡🥱🥴😍🐳🌚🌭💯🤣⚡🍌🏆💔🤨😐🍓🍾💋🖕😈😴😭🤓👻👀🎃🙈😇😨🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘🙉🦄😘💊🙊😎👾🤷😡"

func (s *Server) setMessageReaction(r request) (any, *apiError) {
	var list []struct {
		Type          string `json:"type"`
		Emoji         string `json:"emoji"`
		CustomEmojiID string `json:"custom_emoji_id"`
	}
	if raw := r.params["reaction"]; raw != "" && json.Unmarshal([]byte(raw), &list) != nil {
		return nil, badRequest("can't parse reaction types JSON object")
	}
	if len(list) > 1 {
		return nil, badRequest("REACTIONS_TOO_MANY") // a bot has one
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, m, refused := s.targetMessage(r, "message to react not found")
	if refused != nil {
		return nil, refused
	}
	m.Reactions = nil
	for _, it := range list {
		switch {
		case it.Type == "custom_emoji" && it.CustomEmojiID != "":
			m.Reactions = append(m.Reactions, it.CustomEmojiID)
		case it.Type == "emoji" && it.Emoji != "" && strings.Contains(reactions, it.Emoji): // no variation selectors in it
			m.Reactions = append(m.Reactions, it.Emoji)
		default:
			return nil, badRequest("REACTION_INVALID")
		}
	}
	s.signal()
	return true, nil
}

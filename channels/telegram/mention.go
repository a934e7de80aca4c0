package telegram

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/go-telegram/bot/models"
)

// mentions lists who is mentioned in a text or caption (user names without @,
// or user ids where a name is missing), and whether the bot is.
func mentions(m *models.Message, me account) (list []string, mentionsMe bool) {
	text, entities := m.Text, m.Entities
	if text == "" {
		text, entities = m.Caption, m.CaptionEntities
	}
	if len(entities) == 0 {
		return nil, false
	}
	units := utf16.Encode([]rune(text)) // offsets count UTF-16 units
	for _, e := range entities {
		switch e.Type {
		case models.MessageEntityTypeMention:
			name := strings.TrimPrefix(slice(units, e), "@")
			if name == "" {
				continue
			}
			list = append(list, clean(name))
			mentionsMe = mentionsMe || me.named(name)
		case models.MessageEntityTypeTextMention:
			if e.User == nil {
				continue
			}
			list = append(list, fmt.Sprint(e.User.ID))
			mentionsMe = mentionsMe || e.User.ID == me.id
		case models.MessageEntityTypeBotCommand: // "/help@our_bot" is for us alone
			_, name, addressed := strings.Cut(slice(units, e), "@")
			mentionsMe = mentionsMe || addressed && me.named(name)
		}
	}
	return list, mentionsMe
}

func (a account) named(name string) bool {
	return a.username != "" && strings.EqualFold(a.username, name)
}

// slice cuts an entity out of a text; entities that point outside give "".
func slice(units []uint16, e models.MessageEntity) string {
	if e.Offset < 0 || e.Length <= 0 || e.Offset > len(units) || e.Length > len(units)-e.Offset {
		return ""
	}
	return string(utf16.Decode(units[e.Offset : e.Offset+e.Length]))
}

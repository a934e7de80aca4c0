package telegram

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

const (
	maxButtons       = 100 // of one message
	maxCallbackData  = 64  // bytes
	answerPressAfter = 5 * time.Second
	maxAnswering     = 32 // presses at once
)

// inlineKeyboard is InlineKeyboardMarkup with what buttons of ours have. (The
// library's type adds an empty copy_text to each, and Telegram takes one kind
// of button only.)
type inlineKeyboard struct {
	Rows [][]inlineButton `json:"inline_keyboard"`
}

type inlineButton struct {
	Text string `json:"text"`
	Data string `json:"callback_data"`
}

// keyboard offers buttons under a message, one below the other; nil where
// there are none.
func keyboard(buttons []message.Button) (models.ReplyMarkup, error) {
	if len(buttons) == 0 {
		return nil, nil //nolint:nilnil // as the library wants it
	}
	if len(buttons) > maxButtons {
		return nil, refuse(channels.ErrTooLarge, fmt.Sprintf("Telegram shows at most %d buttons under a message", maxButtons))
	}
	k := &inlineKeyboard{}
	taken := map[string]bool{}
	for i, b := range buttons {
		data := b.ID
		if data == "" || len(data) > maxCallbackData || taken[data] {
			data = fmt.Sprint("#", i) // what was pressed is still known by its text
		}
		taken[data] = true
		k.Rows = append(k.Rows, []inlineButton{{Text: b.Text, Data: data}})
	}
	return k, nil
}

// labels is what a message with buttons says that has no text of its own:
// Telegram shows no buttons without one.
func labels(buttons []message.Button) string {
	texts := make([]string, len(buttons))
	for i, b := range buttons {
		texts[i] = b.Text
	}
	return strings.Join(texts, " / ")
}

// convertPress makes a message of a pressed button: it says what the button
// says, and answers the message that the button is under.
func convertPress(q *models.CallbackQuery) (message.Inbound, bool) {
	in := message.Inbound{Kind: message.KindMessage, Sender: user(&q.From), ReplyToMe: true}
	pressed := message.Button{ID: clean(q.Data), Text: clean(q.Data)}
	switch {
	case q.Data == "": // of a game
		return in, false
	case q.Message.Message != nil:
		m := q.Message.Message
		in.Chat, in.ReplyTo = chatOf(m), messageID(m.Chat.ID, m.ID)
		if label := labelOf(m.ReplyMarkup, q.Data); label != "" {
			pressed.Text = label
		}
	case q.Message.InaccessibleMessage != nil: // an old one
		m := q.Message.InaccessibleMessage
		in.Chat, in.ReplyTo = chat(m.Chat, 0), messageID(m.Chat.ID, m.MessageID)
	default: // under a message that was sent by way of the bot, in a chat that it does not see
		return in, false
	}
	in.ID = in.ReplyTo + ":" + q.ID
	in.Content = message.Content{Type: message.TypeText, Text: pressed.Text, Buttons: []message.Button{pressed}}
	return in, true
}

func labelOf(k *models.InlineKeyboardMarkup, data string) string {
	if k == nil {
		return ""
	}
	for _, row := range k.InlineKeyboard {
		for _, b := range row {
			if b.CallbackData == data {
				return clean(b.Text)
			}
		}
	}
	return ""
}

// pressOf is the id by which Telegram wants a press answered, "" of any other
// event.
func pressOf(in message.Inbound) string {
	parts := strings.SplitN(in.ID, ":", 3)
	if in.Kind != message.KindMessage || len(parts) < 3 {
		return ""
	}
	return parts[2]
}

// answerPress ends the waiting that people see on a button which they have
// pressed. It does not hold up what comes next; where it fails, that ends by itself.
func (s *session) answerPress(ctx context.Context, in message.Inbound) {
	id := pressOf(in)
	if id == "" {
		return
	}
	select {
	case s.answers <- struct{}{}:
	default: // people who press that often see their buttons wait
		return
	}
	s.answering.Go(func() {
		defer func() { <-s.answers }()
		ctx, cancel := context.WithTimeout(ctx, answerPressAfter)
		defer cancel()
		var done bool
		if err := s.api.call(ctx, "answerCallbackQuery", map[string]any{"callback_query_id": id}, &done); err != nil && ctx.Err() == nil {
			s.deps.Log.Debug("telegram", "doing", "answering a pressed button", "error", s.api.reason(err))
		}
	})
}

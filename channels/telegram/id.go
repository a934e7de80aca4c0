package telegram

import (
	"fmt"
	"strconv"
	"strings"
)

// chatRef is a chat as Telegram addresses it: a chat id, and a topic in forums.
type chatRef struct {
	chat  int64
	topic int
}

func (r chatRef) String() string {
	if r.topic == 0 {
		return strconv.FormatInt(r.chat, 10)
	}
	return fmt.Sprintf("%d/%d", r.chat, r.topic)
}

// parseChat reads what String wrote.
func parseChat(id string) (chatRef, error) {
	chat, topic, hasTopic := strings.Cut(id, "/")
	var r chatRef
	var err error
	if r.chat, err = strconv.ParseInt(chat, 10, 64); err != nil || r.chat == 0 {
		return r, fmt.Errorf("%q is not a Telegram chat id", id)
	}
	if hasTopic {
		if r.topic, err = strconv.Atoi(topic); err != nil || r.topic <= 0 {
			return r, fmt.Errorf("%q is not a Telegram chat id", id)
		}
	}
	return r, nil
}

// messageID names a message within the bot: Telegram counts them per chat.
func messageID(chat int64, msg int) string { return fmt.Sprintf("%d:%d", chat, msg) }

// parseMessageID reads what messageID wrote. Of a pressed button, whose id goes
// on behind it, it is the message that the button is under.
func parseMessageID(id string) (chat int64, msg int, err error) {
	c, m, ok := strings.Cut(id, ":")
	m, _, _ = strings.Cut(m, ":")
	if ok {
		if chat, err = strconv.ParseInt(c, 10, 64); err == nil {
			msg, err = strconv.Atoi(m)
		}
	}
	if !ok || err != nil || msg <= 0 {
		return 0, 0, fmt.Errorf("%q is not the id of a Telegram message", id)
	}
	return chat, msg, nil
}

func parseInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

package omni

import (
	"strings"

	"github.com/google/uuid"
)

// SessionKey says whose conversation with the agent this is. Resets are counted
// behind it ("#2") by the database.
func SessionKey(session string, chat, person uuid.UUID) string {
	switch session {
	case "user":
		return "person:" + person.String()
	case "user-in-chat":
		return ChatSessionKey(chat) + "/person:" + person.String()
	default:
		return ChatSessionKey(chat)
	}
}

// ChatSessionKey is the session that everybody in a chat shares.
func ChatSessionKey(chat uuid.UUID) string { return "chat:" + chat.String() }

// IsChatSession reports whether key is the session that everybody in the chat
// shares, whichever reset it is of.
func IsChatSession(key string, chat uuid.UUID) bool {
	base, _, _ := strings.Cut(key, "#")
	return base == ChatSessionKey(chat)
}

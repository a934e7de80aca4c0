package webchat

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

var (
	tokenForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{32,128}$`)
	clientForm = regexp.MustCompile(`^[A-Za-z0-9-]{8,64}$`)
	chatForm   = regexp.MustCompile(`^v[0-9a-f]{32}$`)
)

// chatID names the chat of a visitor. It is derived one way from the secret
// token, and differs between instances.
func chatID(instanceID, token string) string {
	sum := sha256.Sum256([]byte("omni-webchat\x00" + instanceID + "\x00" + token))
	return "v" + hex.EncodeToString(sum[:16])
}

// eventID makes a page's message id unique within the instance: a visitor
// cannot take an id away from another one.
func eventID(chat, clientID string) string { return chat + ":" + clientID }

// clientIDOf is the page's id of a stored message, as the page knows it.
func clientIDOf(chat, event string) string { return strings.TrimPrefix(event, chat+":") }

// topic is where a chat's frames are broadcast.
func topic(chat string) string { return "chat." + chat }

// visitorName tells visitors apart for people who read along.
func visitorName(chat string) string { return "Visitor " + strings.ToUpper(chat[1:5]) }

package steps

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/telegram/telegramtest"
)

// What an agent returns beside text, on Telegram: attachments by their kind, a
// caption that is too long behind its picture, buttons that are pressed, an
// emoji; what Telegram has no place for, in words.
func TestAgentActsOnTelegram(t *testing.T) {
	t.Parallel()
	w := newWatched(t, slog.LevelInfo)
	long := strings.TrimSpace(strings.Repeat("a long caption ", 100)) // 1499 characters, of which Telegram takes 1024
	a := newActor(t, func(text string) any {
		if text != "everything, please" {
			return object{"text": "You chose " + text}
		}
		return object{"parts": []any{"**Here** you are.",
			object{"type": "image", "text": "the *map*", "media": []object{{"url": "https://files.example.com/map.png"}}},
			object{"type": "image", "text": long, "media": []object{{"url": "https://files.example.com/2.png"}}},
			object{"type": "document", "media": []object{{"url": "https://files.example.com/terms.pdf"}}},
			object{"type": "reaction", "reaction": object{"emoji": "🎉"}},
			object{"type": "buttons", "text": "Anything else?", "buttons": []object{{"id": "yes", "text": "Yes, please"}, {"id": "no", "text": "No"}}}},
			"actions": []object{{"type": "react", "emoji": "👍"}}}
	})
	b := w.newTelegram(t, object{"agent": a.agent("never")})
	m := b.asks(11, "everything, please")
	b.answered(t, m, 40*time.Second)
	var kinds []string
	sent := b.Sent(11)
	for _, s := range sent {
		kinds = append(kinds, s.Kind+": "+s.Text)
	}
	require.Equal(t, []string{"text: Here you are.", "photo: the map", "photo: ", "text: " + long, "document: ", "text: 🎉", "text: Anything else?"}, kinds)
	require.Equal(t, "italic", sent[1].Entities[0].Type)
	require.Equal(t, "https://files.example.com/map.png", b.Calls("sendPhoto")[0].Params["photo"])
	asked, there := b.Message(11, 1)
	require.True(t, there)
	require.Equal(t, []string{"👍"}, asked.Reactions)
	require.EqualValues(t, 1, w.eventData(t, m, "agent.response")[0]["partsInWords"])

	_, press := b.Press(telegramtest.User{ID: 11, FirstName: "Ana"}, 11, sent[6].ID, "yes")
	require.Eventually(t, func() bool { return b.Answered(press) }, 10*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		read := b.reads(11)
		return read[len(read)-1] == "You chose Yes, please"
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, []string{"everything, please", "Yes, please"}, a.texts())
	var id, text string
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT content #>> '{buttons,0,id}', content ->> 'text' FROM messages
		WHERE instance_id = $1 AND direction = 'inbound' AND external_id = $2`, b.id, fmt.Sprintf("11:%d:%s", sent[6].ID, press)).Scan(&id, &text))
	require.Equal(t, []string{"yes", "Yes, please"}, []string{id, text})
	require.Empty(t, b.Violations())
}

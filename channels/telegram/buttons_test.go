package telegram

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/channels/telegram/telegramtest"
)

// A button under a message is pressed: the bot is told what it says and which
// it was, and the person's button stops waiting. Both ways of receiving.
func TestButtonsArePressed(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{modePolling, modeWebhook} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			hub, p := open(t, mode)
			s := hub.Start(t)
			p.AddChat(ana.ID)
			long := strings.Repeat("x", 65)
			r, err := s.Send(t.Context(), content(p, message.Content{Type: message.TypeButtons, Text: "Shall we?", Buttons: []message.Button{
				{ID: "yes", Text: "Yes, please"}, {ID: long, Text: "No"}, {ID: "yes", Text: "Later"}, {Text: "Never"}}}))
			require.NoError(t, err)
			want := []struct{ data, id, text string }{{"yes", "yes", "Yes, please"}, {"#1", "#1", "No"}, {"#2", "#2", "Later"}, {"#3", "#3", "Never"}}
			_, msg, err := parseMessageID(r.ExternalID)
			require.NoError(t, err)
			for i, w := range want {
				update, press := p.Press(ana, ana.ID, msg, w.data)
				waitSink(t, hub, func() bool { return len(hub.Sink.Stored()) == i+1 })
				in := hub.Sink.Stored()[i].Event
				require.Equal(t, message.KindMessage, in.Kind)
				require.Equal(t, message.Content{Type: message.TypeText, Text: w.text, Buttons: []message.Button{{ID: w.id, Text: w.text}}}, in.Content)
				require.Equal(t, r.ExternalID, in.ReplyTo)
				require.True(t, in.ReplyToMe)
				require.WithinDuration(t, time.Now(), in.Timestamp, time.Minute, "not the time of the message")
				require.Eventually(t, func() bool { return p.Answered(press) }, 10*time.Second, 2*time.Millisecond)
				p.Server.Redeliver(update)
			}
			update, _ := p.Say(ana, "the end")
			require.Eventually(t, func() bool { return p.Confirmed(update) }, 10*time.Second, 2*time.Millisecond)
			require.Len(t, hub.Sink.Stored(), len(want)+1, "what comes again is the same press")

			// An agent may put an emoji on what was pressed.
			react := message.Outbound{Chat: p.Chat(), TargetID: hub.Sink.Stored()[0].Event.ID, Content: message.Content{Reaction: &message.Reaction{Emoji: "👍"}}}
			require.NoError(t, s.(channels.Reactor).React(t.Context(), react))
			m, _ := p.Message(ana.ID, msg)
			require.Equal(t, []string{"👍"}, m.Reactions)
		})
	}
}

// A press that Telegram does not let us answer any more holds nothing up.
func TestPressesThatCannotBeAnswered(t *testing.T) {
	t.Parallel()
	hub, p := open(t, modePolling)
	s := hub.Start(t)
	p.AddChat(ana.ID)
	_, err := s.Send(t.Context(), content(p, message.Content{Type: message.TypeButtons, Text: "?", Buttons: []message.Button{{ID: "a", Text: "A"}}}))
	require.NoError(t, err)
	p.Server.Fault("answerCallbackQuery", telegramtest.Fault{Delay: time.Hour})
	p.Press(ana, ana.ID, 1, "a")
	p.Say(ana, "next")
	waitSink(t, hub, func() bool { return len(hub.Sink.Stored()) == 2 })
	began := time.Now()
	require.NoError(t, s.Stop(t.Context()))
	require.Less(t, time.Since(began), 5*time.Second, "the stop ends the answering")
}

func TestButtonsHaveLimits(t *testing.T) {
	t.Parallel()
	p, s, _ := begin(t)
	var many []message.Button
	for i := range maxButtons + 1 {
		many = append(many, message.Button{ID: fmt.Sprint(i), Text: fmt.Sprint(i)})
	}
	_, err := s.Send(t.Context(), content(p, message.Content{Type: message.TypeButtons, Text: "?", Buttons: many}))
	var e *channels.SendError
	require.ErrorAs(t, err, &e)
	require.Equal(t, channels.ErrTooLarge, e.Kind)
	r, err := s.Send(t.Context(), content(p, message.Content{Type: message.TypeButtons, Buttons: many[:2]}))
	require.NoError(t, err)
	require.Equal(t, "0 / 1", p.Server.Sent(ana.ID)[0].Text, "Telegram wants a text")

	// An edit says again which buttons there are.
	edit := content(p, message.Content{Type: message.TypeButtons, Text: "now?", Buttons: many[:1]})
	edit.TargetID = r.ExternalID
	for range 2 {
		_, err = s.(channels.Editor).Edit(t.Context(), edit)
		require.NoError(t, err)
	}
	require.Contains(t, p.Calls("editMessageText")[0].Params["reply_markup"], `"callback_data":"0"`)
}

// What Telegram cannot fetch or show goes out as a link, once.
func TestAttachmentsThatTelegramCannotFetch(t *testing.T) {
	t.Parallel()
	p, s, _ := begin(t)
	for _, said := range []string{"Bad Request: failed to get HTTP URL content", "Bad Request: wrong type of the web page content",
		"Bad Request: wrong file identifier/HTTP URL specified", "Bad Request: PHOTO_INVALID_DIMENSIONS"} {
		before := len(p.Server.Sent(ana.ID))
		p.Server.Fault("sendPhoto", telegramtest.Fault{Status: http.StatusBadRequest, Description: said})
		r, err := s.Send(t.Context(), content(p, message.Content{Type: message.TypeImage, Text: "<b>the</b> map",
			Media: []message.Media{{Type: message.TypeImage, URL: "https://files.example.com/map.png?a=1&b=2"}}}))
		require.NoError(t, err, said)
		sent := p.Server.Sent(ana.ID)
		require.Len(t, sent, before+1, said)
		require.Equal(t, "the map\nhttps://files.example.com/map.png?a=1&b=2", sent[before].Text)
		require.Equal(t, messageID(ana.ID, sent[before].ID), r.ExternalID)
	}
	p.Server.Fault("sendPhoto", telegramtest.Fault{Status: http.StatusForbidden, Description: "Forbidden: bot was blocked by the user"})
	_, err := s.Send(t.Context(), content(p, message.Content{Type: message.TypeImage, Media: []message.Media{{Type: message.TypeImage, URL: "https://files.example.com/1"}}}))
	require.Error(t, err)
}

package telegram

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/channeltest"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/channels/telegram/telegramtest"
)

// begin starts a session on a Telegram where Ana has written once.
func begin(t *testing.T) (*platform, channels.Session, string) {
	t.Helper()
	hub, p := open(t, modePolling)
	s := hub.Start(t)
	p.Deliver("a", "hello")
	waitSink(t, hub, func() bool { return len(hub.Sink.Stored()) == 1 })
	return p, s, hub.Sink.Stored()[0].Event.ID
}

func content(p *platform, c message.Content) message.Outbound {
	out := channeltest.Text(p.Chat(), "")
	out.Content = c
	return out
}

func TestSendEveryContent(t *testing.T) {
	t.Parallel()
	p, s, _ := begin(t)
	url := func(ct message.ContentType, mime string) message.Content {
		return message.Content{Type: ct, Text: "<b>see</b>", Media: []message.Media{{Type: ct, URL: "https://files.example.com/x", MimeType: mime}}}
	}
	known := p.AddFile("s.webp", "image/webp", []byte("x"))
	tests := []struct {
		kind    string
		content message.Content
	}{
		{"text", message.Content{Type: message.TypeText, Text: `<b>see</b> &lt;3`}},
		{"photo", url(message.TypeImage, "image/png")},
		{"voice", url(message.TypeAudio, "audio/ogg; codecs=opus")},
		{"audio", url(message.TypeAudio, "audio/mpeg")},
		{"video", url(message.TypeVideo, "video/mp4")},
		{"document", url(message.TypeDocument, "application/pdf")},
		{"sticker", message.Content{Type: message.TypeSticker, Media: []message.Media{{Type: message.TypeSticker, Ref: known}}}},
		{"location", message.Content{Type: message.TypeLocation, Location: &message.Location{Latitude: 1.5, Longitude: -2.5}}},
		{"venue", message.Content{Type: message.TypeLocation, Location: &message.Location{Latitude: 1.5, Longitude: -2.5, Name: "Café"}}},
		{"contact", message.Content{Type: message.TypeContact, Contact: &message.Contact{Name: "Luis", Phone: "+5511"}}},
		{"poll", message.Content{Type: message.TypePoll, Poll: &message.Poll{Question: "Lunch?", Options: []string{"yes", "no"}, Multiple: true}}},
		{"text", message.Content{Type: message.TypeButtons, Text: "Choose", Buttons: []message.Button{{ID: "a", Text: "A"}, {ID: "b", Text: "B"}}}},
	}
	for i, tt := range tests {
		r, err := s.Send(t.Context(), content(p, tt.content))
		require.NoError(t, err, "%s", tt.content.Type)
		sent := p.Server.Sent(ana.ID)
		require.Len(t, sent, i+1)
		require.Equal(t, tt.kind, sent[i].Kind)
		require.Equal(t, messageID(ana.ID, sent[i].ID), r.ExternalID)
	}
	sent := p.Server.Sent(ana.ID)
	require.Equal(t, "see <3", sent[0].Text)
	require.Equal(t, "bold", sent[0].Entities[0].Type)
	require.Equal(t, "see", sent[1].Text)
	require.Contains(t, p.Calls("sendMessage")[1].Params["reply_markup"], `"inline_keyboard":[[{"text":"A","callback_data":"a"}],[{"text":"B","callback_data":"b"}]]`)

	album := message.Content{Type: message.TypeImage, Text: "both", Media: []message.Media{
		{Type: message.TypeImage, URL: "https://files.example.com/1"}, {Type: message.TypeVideo, URL: "https://files.example.com/2"}}}
	r, err := s.Send(t.Context(), content(p, album))
	require.NoError(t, err)
	sent = p.Server.Sent(ana.ID)
	require.Len(t, sent, len(tests)+2)
	require.Equal(t, "both", sent[len(tests)].Text)
	require.Equal(t, messageID(ana.ID, sent[len(tests)].ID), r.ExternalID, "an album is known by its first")
}

func TestSendRepliesAndTopics(t *testing.T) {
	t.Parallel()
	p, s, first := begin(t)
	out := channeltest.Text(p.Chat(), "yes")
	out.ReplyTo = first
	_, err := s.Send(t.Context(), out)
	require.NoError(t, err)
	require.Equal(t, 1, p.Server.Sent(ana.ID)[0].ReplyTo)
	for _, gone := range []string{messageID(ana.ID, 999), messageID(77, 1), "nonsense"} {
		out.ReplyTo = gone
		_, err = s.Send(t.Context(), out)
		require.NoError(t, err, "a quote that cannot be made does not hold the answer back")
	}
	p.AddChat(-100200)
	_, err = s.Send(t.Context(), channeltest.Text(message.Chat{ID: "-100200/5"}, "in a topic"))
	require.NoError(t, err)
	require.Equal(t, 5, p.Server.Sent(-100200)[0].Topic)
}

func TestSendPutsBadMarkupRight(t *testing.T) {
	t.Parallel()
	p, s, _ := begin(t)
	for in, want := range map[string]string{"<b>bold <i>x</b>": "bold x", "1 < 2 & 3 > 2": "1 < 2 & 3 > 2", "<h1>Title</h1> &amp; more": "Title & more"} {
		r, err := s.Send(t.Context(), channeltest.Text(p.Chat(), in))
		require.NoError(t, err, in)
		_, id, err := parseMessageID(r.ExternalID)
		require.NoError(t, err)
		m, ok := p.Message(ana.ID, id)
		require.True(t, ok)
		require.Equal(t, want, m.Text)
	}
	require.Len(t, p.Server.Sent(ana.ID), 3, "refused ones were not sent")
}

func TestSendFollowsAMigratedGroup(t *testing.T) {
	t.Parallel()
	p, s, _ := begin(t)
	p.AddChat(-55)
	p.Migrate(-55, -100955)
	r, err := s.Send(t.Context(), channeltest.Text(message.Chat{ID: "-55"}, "hello"))
	require.NoError(t, err)
	require.Equal(t, "-100955:1", r.ExternalID)
}

func TestSendTypesRefusals(t *testing.T) {
	t.Parallel()
	p, s, _ := begin(t)
	p.AddChat(66)
	p.Block(66)
	tests := []struct {
		chat  string
		text  string
		fault *telegramtest.Fault
		want  channels.ErrorKind
	}{
		{chat: "66", text: "x", want: channels.ErrNotFound},
		{chat: "999", text: "x", want: channels.ErrNotFound},
		{chat: "nonsense", text: "x", want: channels.ErrNotFound},
		{chat: "0", text: "x", want: channels.ErrNotFound},
		{chat: "5/0", text: "x", want: channels.ErrNotFound},
		{chat: "4242", text: strings.Repeat("😀", 2049), want: channels.ErrTooLarge},
		{chat: "4242", text: " \n", want: channels.ErrRejected},
		{chat: "4242", text: "x", fault: &telegramtest.Fault{Status: 401}, want: channels.ErrBadCredentials},
		{chat: "4242", text: "x", fault: &telegramtest.Fault{Status: 404}, want: channels.ErrBadCredentials},
		{chat: "4242", text: "x", fault: &telegramtest.Fault{Status: 403, Description: "Forbidden: bot was kicked from the group chat"}, want: channels.ErrNotFound},
		{chat: "4242", text: "x", fault: &telegramtest.Fault{Status: 409}, want: channels.ErrRejected},
		{chat: "4242", text: "x", fault: &telegramtest.Fault{Status: 413}, want: channels.ErrTooLarge},
		{chat: "4242", text: "x", fault: &telegramtest.Fault{Status: 418}, want: channels.ErrRejected},
	}
	for _, tt := range tests {
		if tt.fault != nil {
			p.Server.Fault("sendMessage", *tt.fault)
		}
		_, err := s.Send(t.Context(), channeltest.Text(message.Chat{ID: tt.chat}, tt.text))
		var e *channels.SendError
		require.ErrorAs(t, err, &e, "%+v", tt)
		require.Equal(t, tt.want, e.Kind, "%s: %s", tt.chat, e.Reason)
		require.True(t, e.Certain)
	}
	require.Empty(t, p.Server.Sent(ana.ID))
	for _, c := range []message.Content{{Type: message.TypeImage}, {Type: message.TypePoll}, {Type: message.TypeImage, Media: []message.Media{{Type: message.TypeImage}}},
		{Type: message.TypeImage, Media: make([]message.Media, 11)}} {
		_, err := s.Send(t.Context(), content(p, c))
		var e *channels.SendError
		require.ErrorAs(t, err, &e)
		require.True(t, e.Certain)
	}
}

func TestEditDeleteAndReact(t *testing.T) {
	t.Parallel()
	p, s, first := begin(t)
	r, err := s.Send(t.Context(), channeltest.Text(p.Chat(), "before"))
	require.NoError(t, err)
	edit := channeltest.Text(p.Chat(), "after <b")
	edit.TargetID = r.ExternalID
	for range 2 { // the second finds it as it should be
		got, err := s.(channels.Editor).Edit(t.Context(), edit)
		require.NoError(t, err)
		require.Equal(t, r.ExternalID, got.ExternalID)
	}
	require.Equal(t, "after <b", p.Server.Sent(ana.ID)[0].Text)

	photo, err := s.Send(t.Context(), content(p, message.Content{Type: message.TypeImage, Text: "caption",
		Media: []message.Media{{Type: message.TypeImage, URL: "https://files.example.com/1"}}}))
	require.NoError(t, err)
	edit.TargetID, edit.Content.Text = photo.ExternalID, "<b>new</b> caption"
	_, err = s.(channels.Editor).Edit(t.Context(), edit)
	require.NoError(t, err)
	require.Equal(t, "new caption", p.Server.Sent(ana.ID)[1].Text)

	del := message.Outbound{Chat: p.Chat(), TargetID: photo.ExternalID}
	for range 2 {
		require.NoError(t, s.(channels.Deleter).Delete(t.Context(), del))
	}
	require.Len(t, p.Server.Sent(ana.ID), 1)

	react := message.Outbound{Chat: p.Chat(), TargetID: first, Content: message.Content{Reaction: &message.Reaction{Emoji: "👍"}}}
	require.NoError(t, s.(channels.Reactor).React(t.Context(), react))
	m, _ := p.Message(ana.ID, 1)
	require.Equal(t, []string{"👍"}, m.Reactions)
	react.Content.Reaction = &message.Reaction{Emoji: "❤\uFE0F"}
	require.NoError(t, s.(channels.Reactor).React(t.Context(), react), "as keyboards write it")
	react.Content.Reaction = &message.Reaction{Emoji: "custom:5368324170671202286"}
	require.NoError(t, s.(channels.Reactor).React(t.Context(), react))
	m, _ = p.Message(ana.ID, 1)
	require.Equal(t, []string{"5368324170671202286"}, m.Reactions)
	react.Content.Reaction = &message.Reaction{Emoji: "👍", Removed: true}
	require.NoError(t, s.(channels.Reactor).React(t.Context(), react))
	m, _ = p.Message(ana.ID, 1)
	require.Empty(t, m.Reactions)

	react.TargetID = "nonsense"
	require.Error(t, s.(channels.Reactor).React(t.Context(), react))
	_, err = s.(channels.Editor).Edit(t.Context(), message.Outbound{Chat: p.Chat(), TargetID: "4242:999", Content: message.Content{Text: "x"}})
	require.Error(t, err)
	require.Error(t, s.(channels.Typer).Typing(t.Context(), message.Chat{ID: "nonsense"}))
}

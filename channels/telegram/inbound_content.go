package telegram

import (
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/omnihub/omni/channels/message"
)

// convertContent normalises what a message says. ok is false for service
// messages, which say nothing.
func convertContent(m *models.Message) (c message.Content, ok bool) {
	if media, found := convertMedia(m); found {
		return message.Content{Type: media.Type, Text: clean(m.Caption), Media: []message.Media{media}}, true
	}
	switch {
	case m.Text != "":
		return message.Content{Type: message.TypeText, Text: clean(m.Text)}, true
	case m.Sticker != nil:
		return message.Content{Type: message.TypeSticker, Text: clean(m.Sticker.Emoji), Media: []message.Media{{
			Type: message.TypeSticker, Ref: m.Sticker.FileID, MimeType: stickerMime(m.Sticker), Size: int64(m.Sticker.FileSize)}}}, true
	case m.Venue != nil: // comes with a location beside it: look here first
		return message.Content{Type: message.TypeLocation, Text: clean(m.Venue.Address), Location: &message.Location{
			Latitude: m.Venue.Location.Latitude, Longitude: m.Venue.Location.Longitude, Name: clean(m.Venue.Title)}}, true
	case m.Location != nil:
		return message.Content{Type: message.TypeLocation, Location: &message.Location{
			Latitude: m.Location.Latitude, Longitude: m.Location.Longitude}}, true
	case m.Contact != nil:
		return message.Content{Type: message.TypeContact, Contact: &message.Contact{
			Name: fullName(m.Contact.FirstName, m.Contact.LastName), Phone: clean(m.Contact.PhoneNumber)}}, true
	case m.Poll != nil:
		return message.Content{Type: message.TypePoll, Poll: convertPoll(m.Poll)}, true
	case m.Dice != nil:
		return message.Content{Type: message.TypeText, Text: clean(m.Dice.Emoji)}, true
	default:
		return message.Content{}, false
	}
}

// convertMedia finds the attachment. There is at most one: an album is sent as
// several messages.
func convertMedia(m *models.Message) (message.Media, bool) {
	switch {
	case len(m.Photo) > 0:
		best := m.Photo[0]
		for _, p := range m.Photo {
			if p.Width*p.Height >= best.Width*best.Height {
				best = p
			}
		}
		return message.Media{Type: message.TypeImage, Ref: best.FileID, MimeType: "image/jpeg", Size: int64(best.FileSize)}, true
	case m.Voice != nil:
		return message.Media{Type: message.TypeAudio, Ref: m.Voice.FileID, MimeType: orElse(m.Voice.MimeType, "audio/ogg"), Size: m.Voice.FileSize}, true
	case m.Audio != nil:
		return message.Media{Type: message.TypeAudio, Ref: m.Audio.FileID, MimeType: orElse(m.Audio.MimeType, "audio/mpeg"),
			Filename: clean(m.Audio.FileName), Size: m.Audio.FileSize}, true
	case m.Video != nil:
		return message.Media{Type: message.TypeVideo, Ref: m.Video.FileID, MimeType: orElse(m.Video.MimeType, "video/mp4"),
			Filename: clean(m.Video.FileName), Size: m.Video.FileSize}, true
	case m.VideoNote != nil:
		return message.Media{Type: message.TypeVideo, Ref: m.VideoNote.FileID, MimeType: "video/mp4", Size: int64(m.VideoNote.FileSize)}, true
	case m.Animation != nil: // before the document, which is there too for old clients
		return message.Media{Type: message.TypeVideo, Ref: m.Animation.FileID, MimeType: orElse(m.Animation.MimeType, "video/mp4"),
			Filename: clean(m.Animation.FileName), Size: m.Animation.FileSize}, true
	case m.Document != nil:
		return message.Media{Type: message.TypeDocument, Ref: m.Document.FileID, MimeType: orElse(m.Document.MimeType, "application/octet-stream"),
			Filename: clean(m.Document.FileName), Size: m.Document.FileSize}, true
	default:
		return message.Media{}, false
	}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return clean(strings.ToLower(s))
}

func stickerMime(s *models.Sticker) string {
	switch {
	case s.IsVideo:
		return "video/webm"
	case s.IsAnimated:
		return "application/x-tgsticker"
	default:
		return "image/webp"
	}
}

func convertPoll(p *models.Poll) *message.Poll {
	out := &message.Poll{Question: clean(p.Question), Multiple: p.AllowsMultipleAnswers, Options: make([]string, len(p.Options))}
	for i, o := range p.Options {
		out.Options[i] = clean(o.Text)
	}
	return out
}

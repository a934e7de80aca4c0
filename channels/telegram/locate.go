package telegram

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/omnihub/omni/channels"
)

// LocateFile says where Telegram keeps a file, for an hour. The address holds
// the bot's token.
func (s *session) LocateFile(ctx context.Context, ref string) (channels.FileLocation, error) {
	if err := s.connected(); err != nil {
		return channels.FileLocation{}, err
	}
	var found *models.File
	raw, typed := s.attempt(ctx, func(ctx context.Context) (err error) {
		found, err = s.api.bot.GetFile(ctx, &bot.GetFileParams{FileID: ref})
		return err
	})
	switch {
	case raw != nil && isTooBig(raw):
		return channels.FileLocation{}, refuse(channels.ErrTooLarge, "Telegram gives a bot no file of more than 20 MB")
	case raw != nil && isNoFile(raw):
		return channels.FileLocation{}, refuse(channels.ErrNotFound, "Telegram does not have the file")
	case raw != nil && isAway(raw):
		return channels.FileLocation{}, refuse(channels.ErrTransient, "Telegram cannot give the file just now")
	case typed != nil:
		return channels.FileLocation{}, typed
	}
	place, ok := s.api.fileURL(found.FilePath)
	if !ok { // a server of one's own in its local mode keeps files on its disk
		return channels.FileLocation{}, refuse(channels.ErrRejected, "the Bot API names no path below its own address")
	}
	return channels.FileLocation{URL: place, Size: found.FileSize}, nil
}

// fileURL is the address of a path that the Bot API gave.
func (a *api) fileURL(path string) (string, bool) {
	parts := strings.Split(path, "/")
	if slices.ContainsFunc(parts, func(p string) bool { return p == "" || p == "." || p == ".." }) {
		return "", false
	}
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return a.base + "/file/bot" + a.token + "/" + strings.Join(parts, "/"), true
}

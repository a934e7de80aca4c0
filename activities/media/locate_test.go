package media_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// What has no address is had from where the channel says, for as long as it
// takes; what it says for good is the attachment's fate. The secret in the
// address is in no word about it.
func TestAttachmentsByHandle(t *testing.T) {
	t.Parallel()
	const secret = "123:AAsecret"
	url := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+secret {
			_, _ = io.WriteString(rw, "for who is known")
			return
		}
		_, _ = io.WriteString(rw, "a voice")
	})
	var asked atomic.Int32
	refuse := func(kind channels.ErrorKind, reason string) (channels.FileLocation, error) {
		return channels.FileLocation{}, &channels.SendError{Kind: kind, Certain: true, Reason: reason}
	}
	w := newWorld()
	w.inst.Settings.Media.MaxBytes = 100
	w.locate = func(ref string) (channels.FileLocation, error) {
		switch ref {
		case "voice":
			return channels.FileLocation{URL: url + "/file/bot" + secret + "/voice.oga"}, nil
		case "header":
			return channels.FileLocation{URL: url, Header: map[string]string{"Authorization": "Bearer " + secret}}, nil
		case "later":
			if asked.Add(1) < 3 {
				return refuse(channels.ErrNotConnected, "nobody serves this instance")
			}
			return channels.FileLocation{URL: url}, nil
		case "large":
			return channels.FileLocation{URL: url, Size: 101}, nil
		case "huge":
			return refuse(channels.ErrTooLarge, "Telegram gives a bot no file of more than 20 MB")
		case "unknown":
			return refuse(channels.ErrNotFound, "Telegram does not have the file")
		default:
			return refuse(channels.ErrUnsupported, "channel x cannot file")
		}
	}
	for _, ref := range []string{"voice", "header", "later", "large", "huge", "unknown", "foreign", "stated"} {
		w.message.Content.Media = append(w.message.Content.Media, message.Media{Type: message.TypeAudio, Ref: ref})
	}
	w.message.Content.Media[7].Size = 101 // as the platform says: nobody need be asked
	out, err := w.activities(t).Fetch(t.Context(), w.in())
	require.NoError(t, err)
	require.Equal(t, activities.FetchOutput{Received: 3, Failed: 5}, out)
	fates := map[int]string{}
	for i, f := range w.files {
		fates[i] = fmt.Sprint(f.State, " ", f.Reason, " ", f.Error)
		require.Equal(t, w.message.Content.Media[i].Ref, w.from[i], "what it was had by, not where")
		require.NotContains(t, fmt.Sprintf("%+v", f), secret)
	}
	require.Equal(t, map[int]string{0: "received  ", 1: "received  ", 2: "received  ",
		3: "failed too_large 101 bytes, and media.maxBytes is 100", 4: "failed too_large Telegram gives a bot no file of more than 20 MB",
		5: "failed gone Telegram does not have the file", 6: "failed refused its channel cannot fetch files",
		7: "failed too_large 101 bytes, and media.maxBytes is 100"}, fates)
	require.Equal(t, "for who is known", w.kept[omni.MediaID(w.message.ID, 1)])
}

// A place that cannot be reached names neither the place nor its secret.
func TestAPlaceThatFailsIsNotNamed(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]string{"refused": "http://10.0.0.1/bot123:AAsecret/f", "no address": "http://[bot123:AAsecret", "down": "http://127.0.0.1:1/bot123:AAsecret"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.message.Content.Media = []message.Media{{Type: message.TypeAudio, Ref: "x"}}
			w.locate = func(string) (channels.FileLocation, error) { return channels.FileLocation{URL: place}, nil }
			a := w.activities(t)
			if name == "refused" {
				a.HTTP = &http.Client{Transport: refusing{}}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
			defer cancel()
			_, err := a.Fetch(ctx, w.in())
			require.NoError(t, err)
			require.Equal(t, omni.MediaFailed, w.files[0].State)
			require.NotContains(t, fmt.Sprintf("%+v", w.files[0]), "secret")
		})
	}
}

// Nobody who could say where it is was there in time.
func TestAHandleThatNobodyKnowsIsANote(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.message.Content.Media = []message.Media{{Type: message.TypeAudio, Ref: "x"}}
	w.locate = func(string) (channels.FileLocation, error) { return channels.FileLocation{}, errors.New("boom") }
	ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
	defer cancel()
	_, err := w.activities(t).Fetch(ctx, w.in())
	require.NoError(t, err)
	require.Equal(t, omni.MediaUnavailable, w.files[0].Reason)
	require.Equal(t, "its channel cannot be asked", w.files[0].Error)
}

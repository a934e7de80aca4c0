package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/workers/gateway"
)

// Where an attachment is comes from the session that holds the account, while
// a send of the same instance is under way; neither the address nor the
// secrets in an error are ever told to anybody else.
func TestFilesAreLocatedByTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const token = "hunter22-hunter22"
	goOn, sending := newLatch(), newLatch()
	w.fake.sendFunc = func(context.Context, message.Outbound) (message.Receipt, error) {
		sending.release()
		<-goOn.c
		return message.Receipt{ExternalID: "x", At: time.Now()}, nil
	}
	w.fake.fileFunc = func(_ context.Context, ref string) (channels.FileLocation, error) {
		switch ref {
		case "good":
			return channels.FileLocation{URL: "https://files/" + token, Header: map[string]string{"Authorization": token}, Size: 5}, nil
		case "bad":
			return channels.FileLocation{}, &channels.SendError{Kind: channels.ErrTooLarge, Certain: true, Reason: "no " + token}
		default:
			return channels.FileLocation{}, errors.New("https://files/" + token)
		}
	}
	var log bytes.Buffer
	g := w.gateway("a", func(d *gateway.Deps) {
		d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	in := w.instance(`{"token":"` + token + `"}`)
	receive(t, w.fake.started)
	w.awaitServed(in.ID)
	go func() {
		_, _ = w.bus.Send(context.WithoutCancel(t.Context()), "fake", in.ID, channels.OpSend,
			message.Outbound{Key: "k", Kind: message.KindMessage, Chat: message.Chat{ID: "c"}}, time.Time{})
	}()
	receive(t, sending.c)
	place, err := w.bus.File(t.Context(), "fake", in.ID, "good", time.Time{})
	require.NoError(t, err)
	require.Equal(t, channels.FileLocation{URL: "https://files/" + token, Header: map[string]string{"Authorization": token}, Size: 5}, place)
	for ref, kind := range map[string]channels.ErrorKind{"bad": channels.ErrTooLarge, "worse": channels.ErrUnknown} {
		_, err = w.bus.File(t.Context(), "fake", in.ID, ref, time.Time{})
		var failure *channels.SendError
		require.ErrorAs(t, err, &failure)
		require.Equal(t, kind, failure.Kind)
		require.NotContains(t, failure.Error(), token)
	}
	goOn.release()
	require.NoError(t, g.Stop(t.Context()))
	require.NotContains(t, log.String(), token)
}

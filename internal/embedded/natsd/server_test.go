package natsd_test

import (
	"context"
	"log/slog"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/embedded/natsd"
)

func TestStreamsOutliveTheServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	srv := natsd.New(natsd.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	require.Error(t, srv.Healthy(ctx))
	for round := range 2 {
		require.NoError(t, srv.Start(ctx))
		require.NoError(t, srv.Healthy(ctx))
		conn, err := srv.Connect()
		require.NoError(t, err)
		js, err := jetstream.New(conn)
		require.NoError(t, err)
		stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
		require.NoError(t, err)
		_, err = js.Publish(ctx, "s.x", nil)
		require.NoError(t, err)
		info, err := stream.Info(ctx)
		require.NoError(t, err)
		require.EqualValues(t, round+1, info.State.Msgs)

		outside, err := nats.Connect(srv.URL())
		require.NoError(t, err, "other programs connect over loopback")
		outside.Close()
		conn.Close()
		require.NoError(t, srv.Stop(ctx))
		require.NoError(t, srv.Stop(ctx))
		require.Error(t, srv.Healthy(ctx))
	}
}

func TestAPortThatNobodyChoseIsClosedToStrangers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	srv := natsd.New(natsd.Options{Dir: t.TempDir()})
	require.NoError(t, srv.Start(ctx))
	defer func() { require.NoError(t, srv.Stop(ctx)) }()
	address, err := url.Parse(srv.URL())
	require.NoError(t, err)
	_, err = nats.Connect("nats://" + address.Host)
	require.ErrorIs(t, err, nats.ErrAuthorization)

	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	require.NoError(t, srv.Stop(ctx))
	open := natsd.New(natsd.Options{Dir: t.TempDir(), Port: port})
	require.NoError(t, open.Start(ctx))
	defer func() { require.NoError(t, open.Stop(ctx)) }()
	require.Equal(t, "nats://"+address.Host, open.URL())
	conn, err := nats.Connect(open.URL())
	require.NoError(t, err)
	conn.Close()
	inside, err := open.Connect()
	require.NoError(t, err)
	inside.Close()
}

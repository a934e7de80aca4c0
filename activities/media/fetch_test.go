package media_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/activities/media"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a message with attachments, and what becomes of them.
type world struct {
	mu      sync.Mutex
	message omni.InboundMessage
	inst    omni.Instance
	known   []int
	files   map[int]omni.MediaFile
	from    map[int]string
	kept    map[uuid.UUID]string
	locate  func(ref string) (channels.FileLocation, error)
	gone    error // of the instance
}

func newWorld(urls ...string) *world {
	w := &world{inst: omni.Instance{ID: uuid.New(), Settings: omni.DefaultSettings()}, files: map[int]omni.MediaFile{}, from: map[int]string{}, kept: map[uuid.UUID]string{}}
	w.message.ID = uuid.New()
	for _, u := range urls {
		w.message.Content.Media = append(w.message.Content.Media, message.Media{Type: message.TypeImage, URL: u})
	}
	return w
}

func (w *world) InboundMessage(context.Context, uuid.UUID) (*omni.InboundMessage, error) {
	return &w.message, nil
}
func (w *world) MediaKnown(context.Context, uuid.UUID) ([]int, error) { return w.known, nil }
func (w *world) RecordMedia(_ context.Context, f omni.MediaFile, from string, _ omni.Attempt) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[f.Index], w.from[f.Index] = f, from
	return nil
}
func (w *world) Get(context.Context, uuid.UUID) (*omni.Instance, error) { return &w.inst, w.gone }

func (w *world) File(_ context.Context, channel string, instance uuid.UUID, ref string, _ time.Time) (channels.FileLocation, error) {
	if channel != "telegram" || instance != w.inst.ID {
		return channels.FileLocation{}, errors.New("another instance's")
	}
	return w.locate(ref)
}

func (w *world) keep(id uuid.UUID, r io.Reader, limit int64) (int64, string, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return 0, "", err
	}
	if int64(len(b)) > limit {
		return 0, "", media.ErrTooLarge
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept[id] = string(b)
	return int64(len(b)), "sum", nil
}

func (w *world) activities(t *testing.T) *media.Activities {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return &media.Activities{Store: w, Instances: w, Files: w, HTTP: client, Keep: w.keep}
}

func (w *world) in() activities.FetchInput {
	return activities.FetchInput{Message: activities.MessageRef{MessageID: w.message.ID, InstanceID: w.inst.ID, Channel: "telegram"}}
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func TestAttachmentsAreFetched(t *testing.T) {
	t.Parallel()
	tries := map[string]int{}
	var mu sync.Mutex
	url := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		tries[r.URL.Path]++
		try := tries[r.URL.Path]
		mu.Unlock()
		switch r.URL.Path {
		case "/gone":
			rw.WriteHeader(http.StatusNotFound)
		case "/busy":
			if try < 2 {
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
		case "/large":
			_, _ = io.WriteString(rw, strings.Repeat("x", 200))
		case "/endless":
			for range 200 {
				_, _ = io.WriteString(rw, "y")
				rw.(http.Flusher).Flush()
			}
		case "/typed":
			rw.Header().Set("Content-Type", "image/webp")
			_, _ = io.WriteString(rw, "picture")
		default:
			rw.Header().Set("Content-Type", "application/octet-stream")
			_, _ = io.WriteString(rw, "%PDF-1.4")
		}
	})
	w := newWorld(url+"/typed", url+"/gone", url+"/busy", url+"/large", url+"/endless", url+"/pdf", "", url+"/off")
	w.inst.Settings.Media.MaxBytes = 100
	w.inst.Settings.Media.ProcessVideo = false
	w.message.Content.Media[7].Type = message.TypeVideo
	out, err := w.activities(t).Fetch(t.Context(), w.in())
	require.NoError(t, err)
	require.Equal(t, activities.FetchOutput{Received: 3, Failed: 3}, out)
	fates := map[int]string{}
	for i, f := range w.files {
		require.Equal(t, omni.MediaID(w.message.ID, i), f.ID)
		fates[i] = fmt.Sprint(f.State, " ", f.Reason, " ", f.MimeType, " ", f.Size)
	}
	require.Equal(t, map[int]string{0: "received  image/webp 7", 1: "failed gone  0", 2: "received  text/plain; charset=utf-8 0",
		3: "failed too_large  0", 4: "failed too_large  0", 5: "received  application/pdf 8"}, fates)
	require.Equal(t, "picture", w.kept[omni.MediaID(w.message.ID, 0)])
	require.NotContains(t, tries, "/off", "videos are not processed here")
}

type refused struct{ error }

func (refused) Refused() bool { return true }

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, refused{errors.New("10.0.0.1 is private")}
}

// An address that must not be called is a note, which does not say what was found.
func TestARefusedAddressIsANote(t *testing.T) {
	t.Parallel()
	w := newWorld("http://10.0.0.1/secret", "://")
	a := w.activities(t)
	a.HTTP = &http.Client{Transport: refusing{}}
	_, err := a.Fetch(t.Context(), w.in())
	require.NoError(t, err)
	require.Equal(t, omni.MediaRefused, w.files[0].Reason)
	require.NotContains(t, w.files[0].Error, "10.0.0.1")
	require.Equal(t, omni.MediaRefused, w.files[1].Reason)
}

// Whoever does not answer until the time is nearly over is noted in time.
func TestASlowServerIsANote(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w := newWorld(url)
	ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
	defer cancel()
	_, err := w.activities(t).Fetch(ctx, w.in())
	require.NoError(t, err)
	require.Equal(t, omni.MediaUnavailable, w.files[0].Reason)
}

// A step that is ended from outside decides nothing: somebody tries again.
func TestAnEndedStepDecidesNothing(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	w := newWorld(url)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := w.activities(t).Fetch(ctx, w.in())
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, w.files)
}

// What is known is not fetched again; given up, the rest is noted.
func TestWhatIsKnownStands(t *testing.T) {
	t.Parallel()
	w := newWorld("http://one.test", "http://two.test")
	w.known = []int{0}
	out, err := w.activities(t).GiveUp(t.Context(), w.in())
	require.NoError(t, err)
	require.Equal(t, activities.FetchOutput{Failed: 1}, out)
	require.Equal(t, omni.MediaUnavailable, w.files[1].Reason)
	w.gone = omni.ErrNotFound
	out, err = w.activities(t).GiveUp(t.Context(), w.in())
	require.NoError(t, err)
	require.Zero(t, out, "the instance was deleted")
}

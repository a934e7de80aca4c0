package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// Store is what the steps need of the database.
type Store interface {
	InboundMessage(ctx context.Context, id uuid.UUID) (*omni.InboundMessage, error)
	// MediaKnown returns the places of the attachments of which it is known
	// what became.
	MediaKnown(ctx context.Context, messageID uuid.UUID) ([]int, error)
	// RecordMedia says what became of one that had that address, or handle; the
	// first word stands.
	RecordMedia(ctx context.Context, f omni.MediaFile, from string, a omni.Attempt) error
}

// Instances reads instances, usually from memory.
type Instances interface {
	Get(ctx context.Context, id uuid.UUID) (*omni.Instance, error)
}

// Files finds attachments that a channel knows by a handle of its own. Its
// errors are *channels.SendError.
type Files interface {
	File(ctx context.Context, channelType string, instanceID uuid.UUID, ref string, deadline time.Time) (channels.FileLocation, error)
}

// Keep keeps all that r holds under an id, at most limit bytes (else an error
// that ErrTooLarge is), and returns its size in bytes and its SHA-256 in hex.
type Keep func(id uuid.UUID, r io.Reader, limit int64) (size int64, sha256 string, err error)

// ErrTooLarge is what Keep says of more bytes than may be.
var ErrTooLarge = errors.New("the attachment is larger than media.maxBytes")

// Activities implements the steps.
type Activities struct {
	Store     Store
	Instances Instances
	Files     Files
	HTTP      *http.Client // guarded
	Keep      Keep
}

// Tunables of the steps.
const (
	// atOnce is how many attachments of a message are fetched at a time.
	atOnce = 4
	// retryFirst grows with each try to retryMost.
	retryFirst = 500 * time.Millisecond
	retryMost  = 5 * time.Second
	// locateWithin is how long a channel may take to say where a file is.
	locateWithin = 10 * time.Second
	// noteWithin is kept of the step's time for writing down what failed.
	noteWithin = 3 * time.Second
)

// Fetch is media.Fetch. What fails for now is tried again until the step's time
// is nearly over.
func (a *Activities) Fetch(ctx context.Context, in activities.FetchInput) (activities.FetchOutput, error) {
	defer activities.Heartbeat(ctx)()
	return a.each(ctx, in, a.fetch)
}

// GiveUp is media.GiveUp.
func (a *Activities) GiveUp(ctx context.Context, in activities.FetchInput) (activities.FetchOutput, error) {
	return a.each(ctx, in, func(_ context.Context, f *omni.MediaFile, _ source, _ int64) {
		fail(f, omni.MediaUnavailable, "nobody fetched it in time")
	})
}

// each has done to every attachment whose fate is not known what gives it one,
// several at once, and writes that down.
func (a *Activities) each(ctx context.Context, in activities.FetchInput, do func(context.Context, *omni.MediaFile, source, int64)) (activities.FetchOutput, error) {
	attempt := activities.NewAttempt(ctx)
	m, cfg, err := a.read(ctx, in.Message)
	if err != nil {
		return activities.FetchOutput{}, err
	}
	known, err := a.Store.MediaKnown(ctx, m.ID)
	if err != nil {
		return activities.FetchOutput{}, err
	}
	var (
		out    activities.FetchOutput
		failed []error
		mu     sync.Mutex
		wg     sync.WaitGroup
		slots  = make(chan struct{}, atOnce)
	)
	for _, i := range omni.MediaToFetch(cfg, m.Content) {
		if slices.Contains(known, i) {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			f, from := newFile(in.Message, i, m.Content.Media[i]), sourceOf(in.Message, m.Content.Media[i])
			if from.size > cfg.MaxBytes {
				tooLarge(&f, from.size, cfg.MaxBytes)
			} else {
				do(ctx, &f, from, cfg.MaxBytes)
			}
			err := a.note(ctx, f, from.name(), attempt)
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, err)
			if f.State == omni.MediaReceived {
				out.Received++
			} else {
				out.Failed++
			}
		})
	}
	wg.Wait()
	return out, errors.Join(failed...)
}

// read returns the message, and what its instance does with attachments: nothing
// any more where it was deleted.
func (a *Activities) read(ctx context.Context, ref activities.MessageRef) (*omni.InboundMessage, omni.MediaConfig, error) {
	m, err := a.Store.InboundMessage(ctx, ref.MessageID)
	if err != nil {
		return nil, omni.MediaConfig{}, err
	}
	inst, err := a.Instances.Get(ctx, ref.InstanceID)
	if errors.Is(err, omni.ErrNotFound) {
		return m, omni.MediaConfig{}, nil
	}
	if err != nil {
		return nil, omni.MediaConfig{}, fmt.Errorf("reading instance %s: %w", ref.InstanceID, err)
	}
	return m, inst.Settings.Media, nil
}

// note writes down what became of an attachment; not where the step was ended
// from outside, because somebody tries again then.
func (a *Activities) note(ctx context.Context, f omni.MediaFile, from string, attempt omni.Attempt) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.Store.RecordMedia(ctx, f, from, attempt)
}

func newFile(ref activities.MessageRef, place int, m message.Media) omni.MediaFile {
	return omni.MediaFile{ID: omni.MediaID(ref.MessageID, place), MessageID: ref.MessageID, Index: place, Type: m.Type,
		MimeType: m.MimeType, Filename: m.Filename}
}

func fail(f *omni.MediaFile, reason omni.MediaReason, detail string) {
	f.State, f.Reason, f.Error = omni.MediaFailed, reason, detail
}

func tooLarge(f *omni.MediaFile, size, limit int64) {
	fail(f, omni.MediaTooLarge, fmt.Sprintf("%d bytes, and media.maxBytes is %d", size, limit))
}

// fetch tries until the bytes are kept, or trying again is useless, or the
// step's time is nearly over.
func (a *Activities) fetch(ctx context.Context, f *omni.MediaFile, from source, limit int64) {
	tries := ctx
	if at, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		tries, cancel = context.WithDeadline(ctx, at.Add(-noteWithin))
		defer cancel()
	}
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		later := a.try(tries, f, from, limit)
		if later == nil {
			return
		}
		timer := time.NewTimer(max(pause, later.after))
		select {
		case <-tries.Done():
			timer.Stop()
			fail(f, omni.MediaUnavailable, later.why)
			return
		case <-timer.C:
		}
	}
}

// another is why, and after how long at least, to try again.
type another struct {
	why   string
	after time.Duration
}

// try fetches once. nil: the attachment has its fate.
func (a *Activities) try(ctx context.Context, f *omni.MediaFile, from source, limit int64) *another {
	place, later := a.locate(ctx, f, from)
	if later != nil || f.State == omni.MediaFailed {
		return later
	}
	if place.Size > limit {
		tooLarge(f, place.Size, limit)
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place.URL, nil)
	if err != nil {
		fail(f, omni.MediaRefused, "its address is none")
		return nil
	}
	for name, value := range place.Header {
		req.Header.Set(name, value)
	}
	resp, err := a.HTTP.Do(req)
	if err != nil {
		var refused interface{ Refused() bool }
		if errors.As(err, &refused) && refused.Refused() {
			fail(f, omni.MediaRefused, "its address must not be called")
			return nil
		}
		return &another{why: "its server cannot be reached"}
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusOK:
		return a.keep(f, resp, limit)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode >= http.StatusInternalServerError:
		return &another{why: fmt.Sprintf("its server answered %d", resp.StatusCode), after: retryAfter(resp.Header)}
	default:
		fail(f, omni.MediaGone, fmt.Sprintf("its server answered %d", resp.StatusCode))
		return nil
	}
}

// keep takes the bytes of an answer.
func (a *Activities) keep(f *omni.MediaFile, resp *http.Response, limit int64) *another {
	if resp.ContentLength > limit {
		tooLarge(f, resp.ContentLength, limit)
		return nil
	}
	head := make([]byte, sniffed)
	n, err := io.ReadFull(resp.Body, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return &another{why: "its server broke off"}
	}
	size, sum, err := a.Keep(f.ID, io.MultiReader(strings.NewReader(string(head[:n])), resp.Body), limit)
	switch {
	case errors.Is(err, ErrTooLarge):
		fail(f, omni.MediaTooLarge, fmt.Sprintf("more than %d bytes (media.maxBytes)", limit))
		return nil
	case err != nil:
		return &another{why: "its bytes could not be read to the end and kept"}
	}
	f.State, f.Size, f.SHA256 = omni.MediaReceived, size, sum
	f.MimeType = mimeType(f.MimeType, resp.Header.Get("Content-Type"), head[:n])
	return nil
}

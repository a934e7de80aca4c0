package provider

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // the formats that the services take
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

const (
	// maxImage is the largest image that is shown to a model, in bytes: 5 MiB as
	// it travels (in base64), which each of the services takes.
	maxImage = 5 << 20 / 4 * 3
	// maxImageSide is the longest side of one, in pixels: whole calls are refused
	// for one that is larger.
	maxImageSide = 8000
	// maxImages is how many of one call's images are shown, the last ones, and
	// maxImageBytes how much of them as they travel: calls have a limit, too.
	maxImages     = 8
	maxImageBytes = 20 << 20
	imageTimeout  = 10 * time.Second

	// unavailable, in the place of a channel's handle, marks an image that could
	// not be fetched. No channel's handle holds a NUL.
	unavailable = "\x00unavailable"
)

// imageTypes are what the services take, as the bytes say; what a sender or a
// server calls a file decides nothing.
var imageTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// withImages returns the request with the images of its messages put in as data
// URLs: the service need not, and often could not, reach where they are. Those
// that the hub has kept are read there, the others are fetched. One that cannot
// be shown becomes a note; no message is lost for it.
func (d *Deps) withImages(ctx context.Context, req omni.AgentRequest) omni.AgentRequest {
	var fetching sync.WaitGroup
	left := maxImages
	req.Messages = slices.Clone(req.Messages)
	for i := len(req.Messages) - 1; i >= 0; i-- {
		c := &req.Messages[i].Content
		c.Media = slices.Clone(c.Media)
		for j := len(c.Media) - 1; j >= 0; j-- {
			m := &c.Media[j]
			if m.Type != message.TypeImage || m.URL == "" && m.ID == "" {
				continue
			}
			if left--; left < 0 {
				m.URL, m.Ref = "", unavailable
				continue
			}
			fetching.Go(func() {
				url, err := d.imageData(ctx, m)
				if err != nil {
					m.URL, m.Ref = "", unavailable
					return
				}
				m.URL = url
			})
		}
	}
	fetching.Wait()
	boundImages(req.Messages)
	return req
}

// boundImages leaves out the first images where all are more than a call may
// hold.
func boundImages(messages []omni.TurnMessage) {
	total := 0
	for _, said := range slices.Backward(messages) {
		media := said.Content.Media // shared with the message itself
		for j := len(media) - 1; j >= 0; j-- {
			m := &media[j]
			if m.Type != message.TypeImage || m.URL == "" {
				continue
			}
			if total += len(m.URL); total > maxImageBytes {
				m.URL, m.Ref = "", unavailable
			}
		}
	}
}

// imageData is an image as a data URL.
func (d *Deps) imageData(ctx context.Context, m *message.Media) (string, error) {
	if raw, err := d.keptImage(m.ID); raw != nil || m.URL == "" {
		if err != nil {
			return "", err
		}
		return imageURL(raw)
	}
	return fetchImage(ctx, d.HTTP, m.URL)
}

// keptImage reads an image where the hub keeps it, nil where it does not.
func (d *Deps) keptImage(media string) ([]byte, error) {
	id, err := uuid.Parse(media)
	if err != nil || d.Files == nil {
		return nil, errors.New("the image is not kept here")
	}
	file, err := d.Files.Open(id)
	if err != nil {
		return nil, fmt.Errorf("opening a kept image: %w", err)
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, maxImage+1))
	if err != nil {
		return nil, fmt.Errorf("reading a kept image: %w", err)
	}
	return raw, nil
}

func fetchImage(ctx context.Context, client *http.Client, url string) (string, error) {
	if kind, data, ok := dataImage(url); ok {
		raw, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			return "", fmt.Errorf("decoding an image of type %q: %w", kind, err)
		}
		return imageURL(raw)
	}
	ctx, cancel := context.WithTimeout(ctx, imageTimeout)
	defer cancel()
	httpReq, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("fetching an image: %w", err)
	}
	res, err := client.Do(httpReq)
	if err != nil {
		return "", fmt.Errorf("fetching an image: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("fetching an image: status %d", res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxImage+1))
	if err != nil {
		return "", fmt.Errorf("reading an image: %w", err)
	}
	return imageURL(raw)
}

func imageURL(raw []byte) (string, error) {
	kind := http.DetectContentType(raw)
	switch {
	case len(raw) > maxImage:
		return "", errors.New("the image is too large")
	case !slices.Contains(imageTypes, kind):
		return "", fmt.Errorf("the image is %s", kind)
	}
	if kind != "image/webp" { // its size is not in one place, and nothing here reads it
		size, _, err := image.DecodeConfig(bytes.NewReader(raw))
		if err != nil {
			return "", fmt.Errorf("reading the size of an image: %w", err)
		}
		if size.Width > maxImageSide || size.Height > maxImageSide {
			return "", fmt.Errorf("the image is %d by %d pixels", size.Width, size.Height)
		}
	}
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(raw), nil
}

// images are the attachments that a model is shown.
func images(c message.Content) []string {
	var urls []string
	for _, m := range c.Media {
		if m.Type == message.TypeImage && strings.HasPrefix(m.URL, "data:image/") {
			urls = append(urls, m.URL)
		}
	}
	return urls
}

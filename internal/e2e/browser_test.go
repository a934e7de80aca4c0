package e2e

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A phone's screen, in CSS pixels.
const (
	phoneWidth, phoneHeight = 390, 844
	phoneScale              = 2
)

// browserWait bounds one step on a page.
const browserWait = 20 * time.Second

// page is a tab of a headless Chromium at a phone's size, without any state.
type page struct {
	t   *testing.T
	ctx context.Context
}

// newPage starts a browser of its own; it ends with the test.
func newPage(t *testing.T) *page {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", false),
		chromedp.WindowSize(phoneWidth, phoneHeight),
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	// Not the test's context: the browser ends in order, in the cleanup. Without a
	// user-data-dir chromedp makes a fresh one and removes it.
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the browser to end
		cancel()
		release()
	})
	p := &page{t: t, ctx: ctx}
	// The first Run starts the browser and must not carry a deadline of its own.
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(phoneWidth, phoneHeight, chromedp.EmulateScale(phoneScale), chromedp.EmulateMobile)))
	return p
}

// chromium finds the browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("Chromium is missing (Debian, Ubuntu: apt-get install chromium)")
	return ""
}

// do runs steps within browserWait.
func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, browserWait)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, steps...))
}

// read gives the value of an action, within browserWait.
func read[T any](p *page, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, browserWait)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	require.NoError(p.t, err)
	return value
}

// screenshot writes what is to be seen as a PNG.
func (p *page) screenshot(path string) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(path, read(p, chromedp.CaptureScreenshot()), 0o644))
}

package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// banner tells a person what runs and what to do next.
func (h *Hub) banner(w io.Writer, took time.Duration) {
	url := apiURL(h.cfg)
	release, _ := buildVersion()
	key := "the value of OMNI_API_KEY"
	switch kept := keptAPIKey(h.cfg); {
	case h.newKey:
		key = h.cfg.APIKey + "   (shown once; kept in " + filepath.Join(h.cfg.DataDir, apiKeyFile) + ")"
	case kept != "" && kept == h.cfg.APIKey:
		key = "in " + filepath.Join(h.cfg.DataDir, apiKeyFile)
	}
	lines := [][2]string{
		{"API", url + "   (reference: " + url + "/docs)"},
		{"Key", key},
		{"Chat page", h.chatPage(url)},
	}
	if h.stack.UIURL != "" {
		lines = append(lines, [2]string{"Temporal UI", h.stack.UIURL})
	}
	lines = append(lines, [2]string{"Data", h.cfg.DataDir})
	_, _ = fmt.Fprintf(w, "\n  Omni %s is ready after %.1f s\n\n", release, took.Seconds())
	for _, line := range lines {
		_, _ = fmt.Fprintf(w, "  %-12s %s\n", line[0], line[1])
	}
	_, _ = fmt.Fprint(w, "\n  Next, in another terminal:\n\n"+
		"    omni doctor                     sends a message through the whole hub and shows its way\n"+
		"    omni instances create --help    connects an account\n"+
		"    omni --help                     everything else\n\n"+
		"  Ctrl-C stops it; nothing is lost.\n\n")
}

const bannerTimeout = 2 * time.Second

// chatPage is the page of the newest web chat, else where pages are.
func (h *Hub) chatPage(url string) string {
	ctx, cancel := context.WithTimeout(context.Background(), bannerTimeout)
	defer cancel()
	instances, err := h.app.store.ConnectableInstances(ctx)
	if err == nil {
		for _, instance := range instances {
			if instance.Channel == "webchat" {
				return url + "/chat/" + instance.ID.String()
			}
		}
	}
	return url + "/chat/<id of a webchat instance>"
}

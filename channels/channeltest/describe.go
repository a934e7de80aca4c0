package channeltest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

var typeName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func testInfo(t *testing.T, h Harness) {
	info := h.Channel.Info()
	require.Regexp(t, typeName, info.Type, "a type is a URL and subject token")
	require.NotEmpty(t, info.Name)
	for _, f := range info.Config {
		require.NotEmpty(t, f.Name)
		require.NotEmpty(t, f.Doc, "field %s says what it is", f.Name)
		name := strings.ToLower(f.Name)
		if strings.Contains(name, "secret") || strings.Contains(name, "token") || strings.Contains(name, "password") {
			require.True(t, f.Secret, "field %s is a secret", f.Name)
		}
	}
	require.Equal(t, info, h.Channel.Info(), "a description does not change")
}

func testCapabilities(t *testing.T, h Harness) {
	c := h.Channel.Info().Capabilities
	require.Contains(t, c.Send, message.TypeText)
	require.Contains(t, c.Receive, message.KindMessage)
	for _, ct := range c.Send {
		require.Contains(t, message.ContentTypes(), ct)
	}
	for _, k := range c.Receive {
		require.Contains(t, message.Kinds(), k)
	}
	require.Positive(t, c.MaxTextLength)
	require.Contains(t, []channels.LengthUnit{channels.UnitRunes, channels.UnitUTF16, channels.UnitBytes, channels.UnitGraphemes}, c.LengthUnit)
	require.Contains(t, []channels.Markup{channels.MarkupVerbatim, channels.MarkupPlain, channels.MarkupTelegramHTML,
		channels.MarkupMrkdwn, channels.MarkupWhatsApp, channels.MarkupDiscord}, c.Markup)

	_, receiver := h.Channel.(channels.WebhookReceiver)
	require.Equal(t, c.Webhook, receiver, "webhook and WebhookReceiver")
	_, page := h.Channel.(channels.PageServer)
	require.Equal(t, c.Page, page, "page and PageServer")

	hub, _ := h.open(t)
	s := hub.Open(t)
	_, edit := s.(channels.Editor)
	require.Equal(t, c.Edit, edit, "edit and Editor")
	_, del := s.(channels.Deleter)
	require.Equal(t, c.Delete, del, "delete and Deleter")
	_, react := s.(channels.Reactor)
	require.Equal(t, c.React, react, "react and Reactor")
	_, typing := s.(channels.Typer)
	require.Equal(t, c.Typing, typing, "typing and Typer")
	_, read := s.(channels.ReadMarker)
	require.Equal(t, c.ReadReceipts, read, "readReceipts and ReadMarker")
}

func testValidate(t *testing.T, h Harness) {
	hub, _ := h.open(t)
	require.NoError(t, h.Channel.Validate(hub.Config()))
	for field, values := range h.BadConfigs {
		for _, v := range values {
			cfg := hub.Config()
			cfg.Values = json.RawMessage(v)
			err := h.Channel.Validate(cfg)
			var refused *channels.ConfigError
			require.ErrorAs(t, err, &refused, "%s", v)
			require.Equal(t, field, refused.Field, "%s", v)
			require.NotEmpty(t, refused.Reason)
			require.Contains(t, fieldNames(h), strings.TrimPrefix(field, "channelConfig."), "a field that Info does not list")
		}
	}
}

func fieldNames(h Harness) []string {
	names := []string{"channelConfig"}
	for _, f := range h.Channel.Info().Config {
		names = append(names, f.Name)
	}
	return names
}

func testGolden(t *testing.T, h Harness) {
	if h.Convert == nil {
		t.Skip("the harness has no Convert")
	}
	files, err := filepath.Glob(filepath.Join("testdata", "in", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "testdata/in has no payloads")
	slices.Sort(files)
	for _, file := range files {
		raw, err := os.ReadFile(file) // #nosec G304: our own testdata
		require.NoError(t, err)
		got, err := json.MarshalIndent(h.Convert(t, raw), "", "  ")
		require.NoError(t, err)
		golden := filepath.Join("testdata", "out", filepath.Base(file))
		if os.Getenv("OMNI_UPDATE_GOLDEN") != "" {
			require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o750))
			require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o600))
			continue
		}
		want, err := os.ReadFile(golden) // #nosec G304: our own testdata
		require.NoError(t, err, "run the test with OMNI_UPDATE_GOLDEN=1 and review the result")
		require.JSONEq(t, string(want), string(got), file)
	}
}

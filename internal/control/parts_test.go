package control

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

var html = channels.Capabilities{MaxTextLength: 40, MaxCaption: 20, LengthUnit: channels.UnitUTF16, Markup: channels.MarkupTelegramHTML}

func TestPartsOf(t *testing.T) {
	t.Parallel()
	verbatim := channels.Capabilities{MaxTextLength: 1000, LengthUnit: channels.UnitBytes, Markup: channels.MarkupVerbatim}
	picture := []message.Media{{Type: message.TypeImage, URL: "https://e.com/p.png"}}
	buttons := []message.Button{{ID: "y", Text: "Yes"}}
	long := "- **first** item of a list\n- second item of it"
	for name, tc := range map[string]struct {
		caps channels.Capabilities
		in   message.Content
		want []message.Content
	}{
		"as written": {verbatim, message.Content{Type: message.TypeText, Text: " **a** <b>\n"},
			[]message.Content{{Type: message.TypeText, Text: " **a** <b>\n"}}},
		"converted": {html, message.Content{Type: message.TypeText, Text: "**a** <b>"},
			[]message.Content{{Type: message.TypeText, Text: "<b>a</b> &lt;b&gt;"}}},
		"split": {html, message.Content{Type: message.TypeText, Text: long},
			[]message.Content{{Type: message.TypeText, Text: "• <b>first</b> item of a list"}, {Type: message.TypeText, Text: "• second item of it"}}},
		"buttons under the last": {html, message.Content{Type: message.TypeButtons, Text: long, Buttons: buttons},
			[]message.Content{{Type: message.TypeText, Text: "• <b>first</b> item of a list"},
				{Type: message.TypeButtons, Text: "• second item of it", Buttons: buttons}}},
		"caption": {html, message.Content{Type: message.TypeImage, Text: "*a* picture", Media: picture},
			[]message.Content{{Type: message.TypeImage, Text: "<i>a</i> picture", Media: picture}}},
		"caption too long": {html, message.Content{Type: message.TypeImage, Text: "*a* picture and more", Media: picture},
			[]message.Content{{Type: message.TypeImage, Media: picture}, {Type: message.TypeText, Text: "<i>a</i> picture and more"}}},
		"no caption": {html, message.Content{Type: message.TypeImage, Media: picture}, []message.Content{{Type: message.TypeImage, Media: picture}}},
		"an address": {html, message.Content{Type: message.TypeLocation, Text: "5 < 6 *Street*", Location: &message.Location{}},
			[]message.Content{{Type: message.TypeLocation, Text: "5 < 6 *Street*", Location: &message.Location{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := partsOf("test", tc.caps, tc.in)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestPartsOfRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   message.Content
		says string
	}{
		"nothing to see": {message.Content{Type: message.TypeText, Text: "\u200b"}, "shows nothing"},
		"too many parts": {message.Content{Type: message.TypeText, Text: strings.Repeat("some words. ", 300)},
			"would be 100 messages, more than 50: channel test takes 40 UTF-16 units at a time"},
		"a long address": {message.Content{Type: message.TypeLocation, Text: strings.Repeat("x", 41)},
			"has 41 UTF-16 units: channel test takes 40 UTF-16 units at a time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := partsOf("test", html, tc.in)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "content.text", e.Fields[0].Field)
			require.Contains(t, e.Fields[0].Message, tc.says)
		})
	}
}

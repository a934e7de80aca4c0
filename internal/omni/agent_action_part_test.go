package omni_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func TestParseMessagesAsActions(t *testing.T) {
	t.Parallel()
	const label, under = "buttons must be a list of 1 to 20 texts, or of objects with text and id", "text must be what the buttons stand under"
	for raw, problem := range map[string]string{
		`{"type":"buttons","text":"Which?","buttons":["Tea",{"id":"c","text":"Coffee"}]}`:                            "",
		`{"type":"buttons","text":"Which?","buttons":[]}`:                                                            label,
		`{"type":"buttons","text":"Which?","buttons":[""]}`:                                                          label,
		`{"type":"buttons","text":"Which?","buttons":[7]}`:                                                           label,
		`{"type":"buttons","text":"Which?","buttons":"Tea"}`:                                                         label,
		`{"type":"buttons","text":"Which?","buttons":[` + strings.TrimSuffix(strings.Repeat(`"x",`, 21), ",") + `]}`: label,
		`{"type":"buttons","buttons":["Tea"]}`:                                                                       under,
		`{"type":"media","url":"https://e.com/p.png","mediaType":"image"}`:                                           "",
		`{"type":"media","url":"https://e.com/p.png"}`:                                                               "",
		`{"type":"media","mediaType":"image"}`:                                                                       "url must be the address of a file",
		`{"type":"media","url":7}`:                                                                                   "url must be the address of a file",
		`{"type":"media","url":"https://e.com/p.png","mediaType":"hologram"}`:                                        "mediaType must be one of: image, audio, video, document",
	} {
		actions := omni.ParseActions(json.RawMessage("[" + raw + "]"))
		require.Len(t, actions, 1)
		require.Equal(t, problem, actions[0].Problem, raw)
		require.Equal(t, problem == "", actions[0].Part != nil, raw)
	}
	a := omni.ParseActions(json.RawMessage(`[{"type":"buttons","text":" Which?\u0000 ","buttons":["Tea",{"id":"c","text":"Coffee"}]}]`))[0]
	require.Equal(t, []message.Button{{ID: "1", Text: "Tea"}, {ID: "c", Text: "Coffee"}}, a.Part.Buttons)
	require.Equal(t, "Which?", a.Part.Text)
}

// Messages that are actions go out behind the words; one that cannot be sent is
// reported, and the others go out all the same.
func TestActionsAsMessages(t *testing.T) {
	t.Parallel()
	o := omni.PartsOptions{Caps: channels.Capabilities{Send: []message.ContentType{message.TypeText, message.TypeButtons}},
		CheckURL: func(url string) error {
			if strings.Contains(url, "10.0.0.1") {
				return errors.New("may not be called")
			}
			return nil
		}}
	parse := func(raw string) []omni.AgentAction { return omni.ParseActions(json.RawMessage(raw)) }
	r := omni.AgentReply{Text: "Well.", Actions: parse(`[{"type":"buttons","text":"Which?","buttons":["Tea"]},
		{"type":"media","url":"http://10.0.0.1/x","mediaType":"image"},{"type":"media","url":"https://e.com/p.png","mediaType":"image","text":"Look"}]`)}
	bubbles, degraded, err := r.Bubbles(o)
	require.NoError(t, err)
	require.Equal(t, []message.Content{{Type: message.TypeText, Text: "Well."},
		{Type: message.TypeButtons, Text: "Which?", Buttons: []message.Button{{ID: "1", Text: "Tea"}}},
		{Type: message.TypeText, Text: "Look\nhttps://e.com/p.png"}}, bubbles)
	require.Equal(t, 1, degraded, "the channel has no pictures")
	require.Equal(t, []string{"media: media.media[0].url may not be called"}, omni.Problems(r.Actions))
	require.Equal(t, "Well.\n\nWhich?\n\nLook", r.Said())

	r = omni.AgentReply{Actions: parse(`[{"type":"buttons","text":"Which?","buttons":["Tea"]},{"type":"no_reply"}]`)}
	bubbles, _, err = r.Bubbles(o)
	require.NoError(t, err)
	require.Empty(t, bubbles)
	require.Equal(t, []string{"buttons: nothing is said where no_reply is asked for"}, omni.Problems(r.Actions))

	many := `{"type":"buttons","text":"Which?","buttons":["Tea"]}`
	r = omni.AgentReply{Text: strings.Repeat("p\n\n", 45), Actions: parse("[" + strings.TrimSuffix(strings.Repeat(many+",", 10), ",") + "]")}
	o.Auto = true
	bubbles, _, err = r.Bubbles(o)
	require.NoError(t, err)
	require.Len(t, bubbles, omni.MaxParts)
	require.Len(t, omni.Problems(r.Actions), 5)
}

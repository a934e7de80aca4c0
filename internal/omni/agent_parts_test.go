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

func partsOf(t *testing.T, raw string) omni.AgentReply {
	t.Helper()
	var answer omni.AgentAnswer
	require.NoError(t, json.Unmarshal([]byte(raw), &answer))
	return answer.Reply()
}

var plainText = channels.Capabilities{Send: []message.ContentType{message.TypeText}, MaxTextLength: 100, Markup: channels.MarkupPlain}

// Parts are strings or content objects, whose type need not be said.
func TestAgentPartsAreRead(t *testing.T) {
	t.Parallel()
	got := partsOf(t, `{"parts":["hi",{"text":"there"},{"media":[{"type":"image","url":"https://e.com/p.png"}],"text":"look"},
		{"media":[{"url":"https://e.com/x"}]},{"location":{"latitude":1,"longitude":2}},{"buttons":[{"id":"y","text":"Yes"}],"text":"Well?"},
		{"poll":{"question":"q","options":["a","b"]}},{"contact":{"name":"Bo"}},{"reaction":{"emoji":"👍"}},{"type":"sticker","media":[{"url":"https://e.com/s"}]}]}`)
	var types []string
	for _, p := range got.Parts {
		types = append(types, string(p.Type))
	}
	require.Equal(t, []string{"text", "text", "image", "document", "location", "buttons", "poll", "contact", "reaction", "sticker"}, types)
	for _, bad := range []string{`{"parts":[1]}`, `{"parts":[null]}`, `{"parts":[["a"]]}`, `{"parts":"a"}`, `{"parts":[{"text":7}]}`} {
		var answer omni.AgentAnswer
		require.Error(t, json.Unmarshal([]byte(bad), &answer), bad)
	}
}

// What a channel cannot show is said in words; texts are split as ever.
func TestBubblesOfAnAnswer(t *testing.T) {
	t.Parallel()
	reply := partsOf(t, `{"parts":["one\n\ntwo",{"type":"image","text":"**look**","media":[{"url":"https://e.com/p.png"}]},
		{"type":"location","location":{"latitude":1.5,"longitude":-2,"name":"Home"}},{"type":"contact","contact":{"name":"Bo","phone":"+55"}},
		{"type":"poll","poll":{"question":"When?","options":["now","later"]}},{"type":"buttons","text":"Well?","buttons":[{"id":"y","text":"Yes"}]},
		{"type":"reaction","reaction":{"emoji":"👍"}}]}`)
	bubbles, degraded, err := reply.Bubbles(omni.PartsOptions{Caps: plainText, Auto: true})
	require.NoError(t, err)
	require.Equal(t, 6, degraded)
	var texts []string
	for _, b := range bubbles {
		require.Equal(t, message.TypeText, b.Type)
		texts = append(texts, b.Text)
	}
	all := strings.Join(texts, "|")
	for _, want := range []string{"one|two", "look", "https://e.com/p.png", "Home (1.5, -2)", "Bo +55", "When?", "now", "Well?", "Yes", "👍"} {
		require.Contains(t, all, want)
	}

	rich := channels.Capabilities{Send: message.ContentTypes(), MaxTextLength: 100, MaxCaption: 10, Markup: channels.MarkupVerbatim}
	reply = partsOf(t, `{"parts":[{"type":"image","text":"a caption that is too long","media":[{"url":"https://e.com/p.png"}]},
		{"type":"location","text":"here","location":{"latitude":1,"longitude":2}}]}`)
	bubbles, degraded, err = reply.Bubbles(omni.PartsOptions{Caps: rich})
	require.NoError(t, err)
	require.Zero(t, degraded)
	require.Len(t, bubbles, 4)
	require.Equal(t, message.TypeImage, bubbles[0].Type)
	require.Empty(t, bubbles[0].Text)
	require.Equal(t, "a caption that is too long", bubbles[1].Text)
	require.Equal(t, "here", bubbles[2].Text)
	require.Equal(t, message.TypeLocation, bubbles[3].Type)
	require.Equal(t, "a caption that is too long\n\nhere", reply.Said())
}

// Nothing that Postgres cannot store is left in any field.
func TestBubblesAreClean(t *testing.T) {
	t.Parallel()
	reply := partsOf(t, strings.ReplaceAll(`{"parts":["a@b",{"poll":{"question":"q@","options":["a@","b"]}},{"contact":{"name":"B@o","phone":"1@"}},
		{"media":[{"type":"document","url":"https://e.com/x","filename":"f@","mimeType":"m@"}]},{"location":{"latitude":1,"longitude":1,"name":"@"}},
		{"text":"t","buttons":[{"id":"@","text":"@x"}]}]}`, "@", `\u0000`))
	bubbles, _, err := reply.Bubbles(omni.PartsOptions{Caps: channels.Capabilities{Send: message.ContentTypes(), Markup: channels.MarkupVerbatim}})
	require.NoError(t, err)
	raw, err := json.Marshal(bubbles)
	require.NoError(t, err)
	require.NotContains(t, string(raw), `\u0000`)
	require.NotContains(t, reply.Said(), "\x00")
}

func TestPartsThatCannotBeSent(t *testing.T) {
	t.Parallel()
	check := func(url string) error {
		if strings.Contains(url, "10.0.0.1") {
			return errors.New("10.0.0.1 may not be called")
		}
		return nil
	}
	for raw, field := range map[string]string{
		`{"parts":["ok",{"type":"nonsense"}]}`:                                    "parts[1].type",
		`{"parts":[{"type":"image"}]}`:                                            "parts[0].media",
		`{"parts":[{"media":[{"type":"image","url":"file:///etc/passwd"}]}]}`:     "parts[0].media[0].url",
		`{"parts":["ok",{"media":[{"type":"image","url":"http://10.0.0.1/x"}]}]}`: "parts[1].media[0].url",
		`{"parts":[{"location":{"latitude":91,"longitude":0}}]}`:                  "parts[0].location.latitude",
		`{"parts":[""]}`: "parts[0].text",
		`{"parts":[` + strings.TrimSuffix(strings.Repeat(`"x",`, 51), ",") + `]}`: "parts",
		`{"parts":["` + strings.Repeat("some words. ", 1000) + `"]}`:              "parts",
		`{"text":"` + strings.Repeat("some words. ", 1000) + `"}`:                 "text",
		`{"text":"` + strings.Repeat("**", 100_000) + `"}`:                        "text",
	} {
		reply := partsOf(t, raw)
		_, _, err := reply.Bubbles(omni.PartsOptions{Caps: plainText, CheckURL: check})
		var fault *omni.PartFault
		require.ErrorAs(t, err, &fault, raw[:min(len(raw), 80)])
		require.Equal(t, field, fault.Field)
	}
}

func TestCustomAgentIsChecked(t *testing.T) {
	t.Parallel()
	good := omni.CustomAgent{Method: "PUT", Headers: map[string]string{"X-Team": "support"}, AuthHeader: "X-Api-Key", ResponsePath: "a.b.0",
		Body: json.RawMessage(`{"q":"{{text}} from {{ sender.name }}","all":["{{messages}}","{{history}}"],"n":1}`)}
	require.Empty(t, good.Check())
	for field, c := range map[string]omni.CustomAgent{
		"method":                {Method: "DELETE"},
		"headers":               {Headers: map[string]string{"a b": "x"}},
		"headers.authorization": {Headers: map[string]string{"authorization": "Bearer x"}},
		"headers.Host":          {Headers: map[string]string{"Host": "x"}},
		"headers.X-A":           {Headers: map[string]string{"X-A": "x\r\nX-B: y"}},
		"authHeader":            {AuthHeader: "Idempotency-Key"},
		"authScheme":            {AuthScheme: "a\nb"},
		"body":                  {Body: json.RawMessage(`{"q":"{{apiKey}}"}`)},
		"responsePath":          {ResponsePath: strings.Repeat("a.", 300)},
	} {
		faults := c.Check()
		require.Len(t, faults, 1, field)
		require.Equal(t, field, faults[0].Field)
	}
	for _, body := range []string{`{"q":"all: {{messages}}"}`, `{"q":`, `{"q":"{{nobody}}"}`} {
		c := omni.CustomAgent{Body: json.RawMessage(body)}
		require.Len(t, c.Check(), 1, body)
	}
}

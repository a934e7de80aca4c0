package channeltest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// edit makes an edit of a bubble: each is an intent of its own.
func edit(p Platform, target, text string) message.Outbound {
	out := Text(p.Chat(), text)
	out.Kind, out.TargetID = message.KindEdit, target
	return out
}

// beginEditing starts a session of a channel that edits, with one bubble sent.
func beginEditing(t *testing.T, h Harness, text string) (Platform, channels.Session, channels.Editor, string) {
	t.Helper()
	if !h.Channel.Info().Capabilities.Edit {
		t.Skip("the channel cannot edit")
	}
	_, p, s := begin(t, h)
	r, err := s.Send(t.Context(), Text(p.Chat(), text))
	require.NoError(t, err)
	return p, s, s.(channels.Editor), r.ExternalID
}

// An answer that is written while it is said is one bubble, edited many times:
// in order, sometimes twice, sometimes to what it shows already.
func testRepeatedEdits(t *testing.T, h Harness) {
	p, _, editor, id := beginEditing(t, h, "0")
	text := "0"
	for i := range 20 {
		text = fmt.Sprint(text, " ", i)
		r, err := editor.Edit(t.Context(), edit(p, id, text))
		require.NoError(t, err)
		require.Equal(t, id, r.ExternalID, "an edited bubble keeps its id")
	}
	same := edit(p, id, text+" twice")
	for range 2 { // the answer to the first got lost
		_, err := editor.Edit(t.Context(), same)
		require.NoError(t, err)
	}
	_, err := editor.Edit(t.Context(), edit(p, id, same.Content.Text))
	require.NoError(t, err, "it reads as wanted already")
	eventually(t, func() bool { return slices.Equal(shown(p), []string{same.Content.Text}) }, "one bubble, with the last text")
}

// What cannot be edited is said, for good and with certainty, and nothing else
// changes: whoever asked decides what to do instead.
func testRefusedEdits(t *testing.T, h Harness) {
	p, s, editor, id := beginEditing(t, h, "before")
	c := h.Channel.Info().Capabilities
	refused := func(out message.Outbound, what string) *channels.SendError {
		_, err := editor.Edit(t.Context(), out)
		e := sendError(t, err)
		require.True(t, e.Certain, "%s: %s", what, e.Reason)
		require.False(t, e.Kind.Retryable(), "%s: %s", what, e.Kind)
		return e
	}
	for _, unknown := range []string{"", "no-such-message"} {
		refused(edit(p, unknown, "x"), "an unknown message")
	}
	require.Equal(t, channels.ErrTooLarge, refused(edit(p, id, strings.Repeat("x", c.MaxTextLength+1)), "over the limit").Kind)
	_, err := s.Send(t.Context(), Text(p.Chat(), strings.Repeat("x", c.MaxTextLength+1)))
	require.Equal(t, channels.ErrTooLarge, sendError(t, err).Kind)
	_, err = editor.Edit(t.Context(), edit(p, id, strings.Repeat("y", c.MaxTextLength)))
	require.NoError(t, err, "as long as may be")
	eventually(t, func() bool { return slices.Equal(shown(p), []string{strings.Repeat("y", c.MaxTextLength)}) }, "only what was taken")
	if !c.Delete {
		return
	}
	out := message.Outbound{ID: uuid.NewString(), Key: uuid.NewString(), Kind: message.KindDelete, Chat: p.Chat(), TargetID: id}
	require.NoError(t, s.(channels.Deleter).Delete(t.Context(), out))
	eventually(t, func() bool { return len(shown(p)) == 0 }, "deleted")
	if _, err := editor.Edit(t.Context(), edit(p, id, "risen")); err != nil { // or nobody sees it
		refused(edit(p, id, "risen"), "a deleted message")
	}
	_, err = s.Send(t.Context(), Text(p.Chat(), "the end"))
	require.NoError(t, err)
	eventually(t, func() bool { return slices.Equal(shown(p), []string{"the end"}) }, "what is deleted stays deleted")
}

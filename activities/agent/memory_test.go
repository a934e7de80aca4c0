package agent_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.st.Pool().Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}

// What is too old is forgotten, however few there are.
func TestHistoryWithinATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("ok"))
	w.converse(w.say(dm, "Ana", "long ago"))
	w.exec(`UPDATE messages SET created_at = created_at - interval '1 hour'`)
	w.converse(w.say(dm, "Ana", "lately"))
	<-w.asked
	<-w.asked
	w.converse(w.say(dm, "Ana", "everything"))
	require.Equal(t, []string{"user: long ago", "assistant: ok", "user: lately", "assistant: ok", "user: everything"}, <-w.asked)
	w.inst.Settings.Agent.HistorySeconds = 600
	w.converse(w.say(dm, "Ana", "now"))
	require.Equal(t, []string{"user: lately", "assistant: ok", "user: everything", "assistant: ok", "user: now"}, <-w.asked)
	ana := "person:" + uuid.NewString()
	w.converse(w.sayIn(ana, dm, "Ana", "in private"))
	<-w.asked
	w.exec(`UPDATE messages SET created_at = created_at - interval '1 hour'`)
	w.converse(w.sayIn(ana, dm, "Ana", "again"))
	require.Equal(t, []string{"user: again"}, <-w.asked)
}

// Only what people saw is told: not what failed or was cancelled, and of what
// may have arrived, that nobody knows.
func TestHistoryIsHonestAboutWhatArrived(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("one\n\ntwo\n\nthree"))
	first := w.say(dm, "Ana", "hello")
	w.converse(first)
	part := func(i int) uuid.UUID { return omni.PartID(first.TurnID, i) }
	for status, want := range map[string]struct {
		text      string
		uncertain bool
	}{
		"failed": {text: "one\n\nthree"}, "cancelled": {text: "one\n\nthree"}, "expired": {text: "one\n\nthree"},
		"unknown": {"one\n\ntwo\n\nthree", true}, "read": {text: "one\n\ntwo\n\nthree"},
	} {
		w.exec(`UPDATE messages SET status = $2, external_id = CASE $2 WHEN 'unknown' THEN '' ELSE external_id END WHERE id = $1`, part(1), status)
		turn := w.say(message.Chat{ID: "c1", Type: message.ChatDM}, "Ana", "?")
		past, err := w.st.AgentTurn(t.Context(), turn.TurnID, turn.WorkflowID, turn.Epoch, omni.Memory{Messages: 4})
		require.NoError(t, err)
		var text string
		uncertain := false
		for _, m := range past.History {
			if m.TurnID.UUID == first.TurnID && m.FromAgent {
				if text != "" {
					text += "\n\n"
				}
				text += m.Text
				uncertain = uncertain || m.Uncertain
			}
		}
		require.Equal(t, want.text, text, status)
		require.Equal(t, want.uncertain, uncertain, status)
		_, _, err = w.st.FinishTurn(t.Context(), omni.FinishParams{ChatID: turn.ChatID, TurnID: turn.TurnID, WorkflowID: turn.WorkflowID,
			Epoch: turn.Epoch, Outcome: "nothing", Attempt: omni.Attempt{StartedAt: time.Now(), Number: 1}})
		require.NoError(t, err)
		w.exec(`DELETE FROM messages WHERE turn_id = $1`, turn.TurnID)
	}
}

// The past reads as it stands now: edits count, what was deleted is gone, and
// so is a reaction that was taken off.
func TestHistoryReadsAsItStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("**Shall** I?"))
	w.caps.Markup = channels.MarkupTelegramHTML
	asked := w.say(dm, "Ana", "a table")
	w.converse(asked)
	w.overhear(dm, "Ana", "a secret")
	w.overhear(dm, "Ana", "for tow")
	amend := func(kind message.Kind, target, text string) {
		w.recordAs(dm, "Ana", func(in *message.Inbound) { in.Kind, in.TargetID, in.Content.Text = kind, target, text })
	}
	amend(message.KindDelete, "m2", "")
	amend(message.KindEdit, "m3", "for two")
	react := func(emoji string, removed bool) {
		w.recordAs(dm, "Ana", func(in *message.Inbound) {
			in.Kind, in.TargetID = message.KindReaction, "x-"+omni.PartID(asked.TurnID, 0).String()
			in.Content = message.Content{Type: message.TypeReaction, Reaction: &message.Reaction{Emoji: emoji, Removed: removed}}
		})
		w.exec(`UPDATE messages SET status = 'ignored' WHERE kind = 'reaction'`)
	}
	react("👍", false)
	<-w.asked
	w.converse(w.say(dm, "Ana", "so?"))
	require.Equal(t, []string{"user: a table", "assistant: **Shall** I?", "user: for two",
		`user: [reaction: 👍 to your message "**Shall** I?"]`, "user: so?"}, <-w.asked)
	react("👍", true)
	w.converse(w.say(dm, "Ana", "and?"))
	require.Equal(t, []string{"user: a table", "assistant: **Shall** I?", "user: for two", "user: so?", "assistant: **Shall** I?", "user: and?"},
		<-w.asked)
}

// A person is the same one on every account of the hub; but what is still being
// answered elsewhere is not past, and another tenant's is nobody's.
func TestAPersonsSessionGoesAcrossAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("ok"))
	ana := uuid.New()
	sayAs := func(chat, text string) activities.TurnRef { // her accounts are linked
		e := w.record(message.Chat{ID: chat, Type: message.ChatDM}, "Ana", text)
		w.exec(`UPDATE messages SET person_id = $1 WHERE id = $2`, ana, e.MessageID)
		return w.lead("person:"+ana.String(), e)
	}
	w.converse(sayAs("c1", "by telegram"))
	<-w.asked
	first := w.inst
	second := *first
	second.ID = uuid.New()
	w.inst = &second
	w.converse(sayAs("c9", "by web"))
	require.Equal(t, []string{"user: by telegram", "assistant: ok", "user: by web"}, <-w.asked)

	pending := sayAs("c10", "at the same time")
	w.inst = first
	w.converse(sayAs("c1", "and here"))
	require.Equal(t, []string{"user: by telegram", "assistant: ok", "user: by web", "assistant: ok", "user: and here"}, <-w.asked)
	w.inst = &second
	out, err := w.reply(pending)
	require.NoError(t, err)
	require.Equal(t, activities.StateClosed, out.State)
	require.Equal(t, []string{"user: by telegram", "assistant: ok", "user: by web", "assistant: ok", "user: at the same time"}, <-w.asked,
		"what was said after this turn began to be answered is not its past")

	w.exec(`UPDATE turns SET tenant_id = 'other' WHERE instance_id = $1`, second.ID)
	w.inst = first
	w.converse(sayAs("c1", "alone"))
	require.Equal(t, []string{"user: by telegram", "assistant: ok", "user: and here", "assistant: ok", "user: alone"}, <-w.asked)
}

// What files say, and what a message answers, is told as what it is: in the
// messages to answer, and afterwards in the past.
func TestWhatFilesSayIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("**Tea** or coffee?"))
	w.caps.Markup = channels.MarkupTelegramHTML
	group := message.Chat{ID: "g1", Type: message.ChatGroup}
	voice := w.recordAs(group, "Ana", func(in *message.Inbound) {
		in.Content = message.Content{Type: message.TypeAudio, Media: []message.Media{{Type: message.TypeAudio, URL: "https://e.com/a.ogg"}}}
	})
	// As the steps that look into files leave it.
	w.exec(`UPDATE messages SET content = jsonb_set(content, '{media,0,transcript}', '"are you open?"') WHERE id = $1`, voice.MessageID)
	asked := w.lead("", voice)
	w.converse(asked)
	require.Equal(t, []string{`user(Ana): [audio, transcript "are you open?"]`}, <-w.asked)

	answer := w.recordAs(group, "Bo", func(in *message.Inbound) {
		in.Content = message.Content{Type: message.TypeText, Text: "tea"}
		in.ReplyTo = "x-" + omni.PartID(asked.TurnID, 0).String()
	})
	w.converse(w.lead("", answer))
	require.Equal(t, []string{`user(Ana): [audio, transcript "are you open?"]`, "assistant: **Tea** or coffee?",
		"user(Bo): [in reply to you \"**Tea** or coffee?\"]\ntea"}, <-w.asked)

	too := w.recordAs(group, "Ana", func(in *message.Inbound) {
		in.Content, in.ReplyTo = message.Content{Type: message.TypeText, Text: "me too"}, "m2"
	})
	w.exec(`UPDATE messages SET text = 'green tea', content = jsonb_set(content, '{text}', '"green tea"') WHERE id = $1`, answer.MessageID)
	w.converse(w.lead("", too))
	last := <-w.asked
	require.Equal(t, "user(Ana): [in reply to Bo \"green tea\"]\nme too", last[len(last)-1], "as it reads now")
	require.Equal(t, "user(Bo): [in reply to you \"**Tea** or coffee?\"]\ngreen tea", last[2])

	w.exec(`UPDATE messages SET deleted_at = now() WHERE id = $1`, answer.MessageID)
	late := w.recordAs(group, "Ana", func(in *message.Inbound) {
		in.Content, in.ReplyTo = message.Content{Type: message.TypeText, Text: "hm"}, "m2"
	})
	w.converse(w.lead("", late))
	last = <-w.asked
	require.Equal(t, "user(Ana): hm", last[len(last)-1], "what was taken back is not repeated")
}

// The buttons under an answer are remembered with it.
func TestButtonsAreRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.caps.Send = []message.ContentType{message.TypeText, message.TypeButtons}
	w.inst.Settings.Agent.Actions = []omni.AgentActionType{omni.ActionButtons}
	w.llm = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"choices":[{"finish_reason":"tool_calls","message":{"content":"Well.","tool_calls":[{"id":"1","type":"function",
			"function":{"name":"buttons","arguments":"{\"text\":\"Which?\",\"buttons\":[\"Tea\",\"Coffee\"]}"}}]}}]}`)
	}
	w.converse(w.say(dm, "Ana", "hello"))
	<-w.asked
	w.converse(w.say(dm, "Ana", "Tea"))
	require.Equal(t, []string{"user: hello", "assistant: Well.\n\nWhich?\n[buttons: Tea / Coffee]", "user: Tea"}, <-w.asked)
}

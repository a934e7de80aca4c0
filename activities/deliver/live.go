package deliver

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/omnihub/omni/activities"
	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// Tunables of live parts.
const (
	// liveAfter is how long an answer is being said before it is shown: most of
	// the short ones are whole by then, and go out as one bubble.
	liveAfter = time.Second
	// maxLiveParts bounds the bubbles that are begun before an answer is whole.
	maxLiveParts = 8
	// nextPart is how much of a further part must be said before it is begun.
	// A few characters may still turn out to belong to the part before.
	nextPart = 40
	// liveEditTimeout bounds one edit, liveSendTimeout the first send, from the
	// look at the row on. Both are below the sender's lease: nobody else
	// finishes the message while an edit may still arrive.
	liveEditTimeout = 5 * time.Second
	liveSendTimeout = 10 * time.Second
	liveBusy        = 250 * time.Millisecond
)

// LiveWriter shows an answer in its chat while it is being said: it sends the
// first text and edits it, no oftener than the channel allows. Nothing that
// goes wrong here fails the answer, whose last edit is deliver.Send's.
type LiveWriter struct {
	*Activities
	turn   activities.TurnRef
	caps   channels.Capabilities
	every  time.Duration
	split  func(text string) []string
	sender string
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{} // has a value when there is more text

	// Of the writing goroutine; read by others once done is closed.
	parts   []omni.LivePart // by index, as last seen
	loaded  bool
	claimed bool
}

// over ends the writing, forGood a pause until there is more text.
const (
	over     time.Duration = -1
	untilNew time.Duration = 0
)

// WriteLive begins to show a turn's answer; nil where its channel cannot edit.
// split makes the parts of a text as the whole answer's will be made. Stop must
// be called.
func (a *Activities) WriteLive(ctx context.Context, turn activities.TurnRef, chat message.ChatType, split func(text string) []string) *LiveWriter {
	caps := a.Capabilities(turn.Channel)
	every := omni.EditEvery(caps, chat)
	if every <= 0 {
		return nil
	}
	w := &LiveWriter{Activities: a, turn: turn, caps: caps, every: every, split: split, done: make(chan struct{}),
		changed: make(chan struct{}, 1), sender: a.newSender()}
	ctx, w.cancel = context.WithCancel(ctx)
	go w.run(ctx)
	return w
}

// Hear takes the next piece of the answer. It does not block.
func (w *LiveWriter) Hear(text string) {
	w.mu.Lock()
	w.text.WriteString(text)
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Stop ends the writing and waits for what is under way: nothing is sent or
// edited afterwards.
func (w *LiveWriter) Stop() {
	w.cancel()
	<-w.done
}

// Release gives the leases back, for whoever goes on: another call of the
// agent, or the delivery. It is for after Stop.
func (w *LiveWriter) Release(ctx context.Context) {
	if !w.claimed {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiptWithin)
	defer cancel()
	// A lease that cannot be given back ends by itself.
	_ = w.Store.ReleaseSender(ctx, w.turn.ChatID, w.turn.TurnID, w.sender)
}

func (w *LiveWriter) run(ctx context.Context) {
	defer close(w.done)
	pause := liveAfter
	if !w.more(ctx) {
		return
	}
	for pause != over {
		if pause == untilNew {
			if !w.more(ctx) {
				return
			}
		} else if sleep(ctx, pause, nil) != nil {
			return
		}
		pause = w.step(ctx)
	}
}

// more waits for text.
func (w *LiveWriter) more(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-w.changed:
		return true
	}
}

// step makes at most one send or edit, and says how long to pause.
func (w *LiveWriter) step(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return over
	}
	// What is begun is brought to its end, also where the writing is to end.
	ctx = context.WithoutCancel(ctx)
	if !w.loaded {
		known, err := w.Store.LiveParts(ctx, w.turn.TurnID)
		if err != nil {
			return w.every
		}
		w.parts, w.loaded = known[:inRow(known)], true
	}
	w.mu.Lock()
	text := w.text.String()
	w.mu.Unlock()
	texts := w.split(text)
	for i, p := range w.parts[:min(len(w.parts), len(texts))] {
		if p.Shown != texts[i] || p.ExternalID == "" {
			return w.update(ctx, i, texts[i])
		}
	}
	if i := len(w.parts); i < len(texts) && i < maxLiveParts && (i == 0 || utf8.RuneCountInString(texts[i]) >= nextPart) {
		return w.update(ctx, i, texts[i])
	}
	return untilNew
}

// inRow counts the parts from the first on without a hole.
func inRow(parts []omni.LivePart) int {
	for i, p := range parts {
		if p.Index != i {
			return i
		}
	}
	return len(parts)
}

// update brings a part nearer to its text. It is claimed each time: the row
// says whether it is still ours to write.
func (w *LiveWriter) update(ctx context.Context, index int, text string) time.Duration {
	looked := time.Now()
	p, err := w.Store.ClaimLive(ctx, omni.LiveClaim{ChatID: w.turn.ChatID, TurnID: w.turn.TurnID, WorkflowID: w.turn.WorkflowID,
		Epoch: w.turn.Epoch, Sender: w.sender, Index: index, Text: text})
	if err != nil {
		return w.every
	}
	switch p.State {
	case omni.LiveOver:
		return over
	case omni.LiveBusy:
		return liveBusy
	}
	w.claimed = true
	if index == len(w.parts) {
		w.parts = append(w.parts, p)
	}
	switch p.State {
	case omni.LiveClaimed:
		return w.send(ctx, p, looked)
	case omni.LiveResume:
		return w.resume(ctx, p, looked)
	default:
		return w.edit(ctx, p, text, looked)
	}
}

// send hands a claimed part over for the first time, or again under its key.
func (w *LiveWriter) send(ctx context.Context, p omni.LivePart, looked time.Time) time.Duration {
	out := liveOutbound(p, message.KindMessage, p.MessageID.String(), p.Shown)
	r, err := w.Gateway.Send(ctx, w.turn.Channel, w.turn.InstanceID, channels.OpSend, out, looked.Add(liveSendTimeout))
	if err == nil {
		return w.shown(ctx, p, r.ExternalID, p.Shown)
	}
	var send *channels.SendError
	if errors.As(err, &send) && send.Certain {
		return w.notSent(ctx, p, send)
	}
	if w.caps.IdempotentSend {
		return w.every // the next claim says resume
	}
	return over // deliver.Send finds out, or says that nobody knows
}

// notSent frees a part that certainly did not go out.
func (w *LiveWriter) notSent(ctx context.Context, p omni.LivePart, send *channels.SendError) time.Duration {
	wait := max(send.RetryAfter, w.every)
	_, _, err := w.Store.ReceiptPart(ctx, omni.ReceiptParams{ChatID: w.turn.ChatID, MessageID: p.MessageID,
		Status: string(omni.StatusQueued), Error: send.Error(), TurnID: uuid.NullUUID{UUID: w.turn.TurnID, Valid: true},
		WorkflowID: w.turn.WorkflowID, Epoch: w.turn.Epoch, RetryAfter: wait, Attempt: omni.Attempt{StartedAt: time.Now(), Number: 1}})
	if err != nil || !send.Kind.Retryable() {
		return over // the delivery of the whole will be told the same
	}
	return wait
}

// resume finds out about a first send that somebody else may have made.
func (w *LiveWriter) resume(ctx context.Context, p omni.LivePart, looked time.Time) time.Duration {
	receipt, refused := w.remembered(ctx, w.turn, p.MessageID.String())
	switch {
	case receipt != nil:
		return w.shown(ctx, p, receipt.ExternalID, p.Shown)
	case refused != nil:
		return w.notSent(ctx, p, refused)
	case w.caps.IdempotentSend:
		return w.send(ctx, p, looked)
	default:
		return over
	}
}

// edit writes the text so far. One that is refused for now is left out: the
// next has more text anyhow.
func (w *LiveWriter) edit(ctx context.Context, p omni.LivePart, text string, looked time.Time) time.Duration {
	out := liveOutbound(p, message.KindEdit, uuid.NewString(), text)
	_, err := w.Gateway.Send(ctx, w.turn.Channel, w.turn.InstanceID, channels.OpEdit, out, looked.Add(liveEditTimeout))
	if err == nil {
		return w.shown(ctx, p, "", text)
	}
	var send *channels.SendError
	switch {
	case !errors.As(err, &send):
		return w.every
	case send.Kind == channels.ErrRateLimited:
		return max(send.RetryAfter, w.every)
	case send.Certain && !send.Kind.Retryable():
		return over // how it goes on is deliver.Send's to decide
	default:
		return w.every
	}
}

// shown notes what the platform shows by now.
func (w *LiveWriter) shown(ctx context.Context, p omni.LivePart, externalID, text string) time.Duration {
	mine, err := w.Store.ShownLive(ctx, omni.LiveText{LiveClaim: omni.LiveClaim{ChatID: w.turn.ChatID, TurnID: w.turn.TurnID,
		WorkflowID: w.turn.WorkflowID, Epoch: w.turn.Epoch, Sender: w.sender, Text: text}, MessageID: p.MessageID, ExternalID: externalID})
	switch {
	case err != nil:
		return w.every
	case !mine:
		return over
	}
	if externalID != "" {
		p.ExternalID = externalID
	}
	p.Shown = text
	w.parts[p.Index] = p
	return w.every
}

// liveOutbound is a send or an edit of a part. How many there will be nobody
// knows yet.
func liveOutbound(p omni.LivePart, kind message.Kind, key, text string) message.Outbound {
	out := message.Outbound{ID: p.MessageID.String(), Key: key, Kind: kind, Chat: p.Chat,
		Content: message.Content{Type: message.TypeText, Text: text}, Part: message.Part{Index: p.Index, Count: p.Index + 1}}
	if kind == message.KindMessage {
		out.ReplyTo = p.ReplyTo
	} else {
		out.TargetID = p.ExternalID
	}
	return out
}

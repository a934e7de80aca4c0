package omni

import (
	"slices"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels/message"
)

// Act makes what an agent wants done a part of its answer: reactions are its
// last bubbles, no_reply leaves the words out, the rest is carried out when
// the turn ends. What cannot be done gets a Problem, and the answer goes out
// all the same. batch is what the turn answers.
func (a *Answer) Act(actions []AgentAction, batch []TurnMessage, canReact bool) {
	if len(actions) == 0 {
		return
	}
	a.Actions = CheckActions(slices.Clone(actions))
	if HasAction(a.Actions, ActionNoReply) {
		a.Parts = nil
	}
	var reactions []message.Content
	for i := range a.Actions {
		action := &a.Actions[i]
		if action.Type != ActionReact || action.Problem != "" {
			continue
		}
		target, problem := reactionOn(action, batch, canReact)
		if action.Problem = problem; problem != "" {
			continue
		}
		reactions = append(reactions, message.Content{Type: message.TypeReaction, Reaction: &message.Reaction{Emoji: action.Emoji}})
		a.Targets = append(a.Targets, target)
	}
	a.Parts = append(slices.Clone(a.Parts), reactions...)
}

// reactionOn is the message that a reaction is put on, or why there is none.
func reactionOn(a *AgentAction, batch []TurnMessage, canReact bool) (target uuid.UUID, problem string) {
	if !canReact {
		return uuid.Nil, "the channel cannot react"
	}
	for _, m := range slices.Backward(batch) {
		if m.ExternalID != "" && m.Kind != message.KindReaction && (a.MessageID == nil || m.ID == *a.MessageID) {
			return m.ID, ""
		}
	}
	if a.MessageID != nil {
		return uuid.Nil, "messageId is no message of the turn"
	}
	return uuid.Nil, "there is no message to react to"
}

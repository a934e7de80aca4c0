package omni_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/channels/message"
	"github.com/omnihub/omni/internal/omni"
)

// Chat before person before type of chat before the instance's default; of the
// same kind the higher priority, then the newer.
func TestChooseAgent(t *testing.T) {
	t.Parallel()
	chat, person := uuid.New(), uuid.New()
	ids := make([]uuid.UUID, 7)
	for i := range ids {
		ids[i] = uuid.New()
	}
	now := time.Now()
	routes := []omni.AgentRoute{
		{AgentID: ids[0], ChatType: message.ChatGroup, Priority: 100},
		{AgentID: ids[1], PersonID: &person, CreatedAt: now},
		{AgentID: ids[2], PersonID: &person, CreatedAt: now.Add(time.Second)},
		{AgentID: ids[3], ChatID: &chat, Priority: -1},
		{AgentID: ids[4], ChatID: &chat, Priority: -2, CreatedAt: now},
	}
	omni.SortRoutes(routes)
	own := omni.DefaultAgent()
	in := &omni.Instance{Routes: routes, Settings: omni.InstanceSettings{Agent: &own}}
	key := func(s omni.RouteSubject) string { return omni.ChooseAgent(in, s).Key }
	other := uuid.New()
	require.Equal(t, ids[3].String(), key(omni.RouteSubject{ChatID: chat, PersonID: person, ChatType: message.ChatGroup}))
	require.Equal(t, ids[2].String(), key(omni.RouteSubject{ChatID: other, PersonID: person, ChatType: message.ChatGroup}))
	require.Equal(t, ids[0].String(), key(omni.RouteSubject{ChatID: other, PersonID: other, ChatType: message.ChatGroup}))
	require.Equal(t, omni.InstanceAgent, key(omni.RouteSubject{ChatID: other, PersonID: other, ChatType: message.ChatDM}))
	require.Equal(t, omni.InstanceAgent, key(omni.RouteSubject{}), "what is not known matches nothing")
	in.Settings.AgentID = &ids[5]
	require.Equal(t, ids[5].String(), key(omni.RouteSubject{}), "named by the instance, in the place of its own")
	in.Settings.Agent, in.Settings.AgentID = nil, nil
	require.Empty(t, key(omni.RouteSubject{}))
	in.Routes = append(in.Routes, omni.AgentRoute{AgentID: ids[6], ChatType: message.ChatDM})
	require.Equal(t, ids[6].String(), key(omni.RouteSubject{}), "a chat that nothing is said of is a dm")
}

func TestAnsweredBy(t *testing.T) {
	t.Parallel()
	own := omni.DefaultAgent()
	in := &omni.Instance{AgentAPIKey: "own", Settings: omni.InstanceSettings{Agent: &own, Routed: true}}
	a := &omni.Agent{ID: uuid.New(), APIKey: "theirs", Config: omni.AgentConfig{Provider: "openai"}}
	out := in.AnsweredBy(a)
	require.Equal(t, "openai", out.Settings.Agent.Provider)
	require.Equal(t, "theirs", out.AgentAPIKey)
	require.Equal(t, a.ID.String(), out.AgentKey)
	require.Equal(t, "own", in.AgentAPIKey)
	require.Same(t, &own, in.Settings.Agent)
	require.False(t, in.AnsweredBy(nil).Settings.MayAnswer())
	require.Empty(t, in.AnsweredBy(nil).AgentAPIKey, "no key goes to whoever answers next")
}

func TestAdmissionLeavesRoutedInstancesToTheWorkflow(t *testing.T) {
	t.Parallel()
	s := omni.DefaultSettings()
	e := &omni.Envelope{Event: message.Inbound{Kind: message.KindMessage, Chat: message.Chat{ID: "c"}, Content: message.Content{Text: "hi"}}}
	require.False(t, omni.Admit(s, e).Begins)
	s.Routed = true
	require.True(t, omni.Admit(s, e).Begins)
	s.Routed, s.AgentID = false, &uuid.UUID{}
	require.True(t, omni.Admit(s, e).Begins)
}

package agent_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/activities/agent"
	"github.com/omnihub/omni/internal/omni"
)

type latencyLog struct {
	took  []time.Duration
	err   error
	asked int
}

func (l *latencyLog) AgentLatencies(context.Context, uuid.UUID, string, int) ([]time.Duration, error) {
	l.asked++
	return l.took, l.err
}

func instance(change func(*omni.AgentConfig)) *omni.Instance {
	cfg := omni.DefaultAgent()
	cfg.Provider = "openai"
	if change != nil {
		change(&cfg)
	}
	return &omni.Instance{ID: uuid.New(), Settings: omni.InstanceSettings{Agent: &cfg}}
}

func repeat(d time.Duration, n int) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = d
	}
	return all
}

func TestQuickAgents(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*omni.AgentConfig)
		past   []time.Duration
		want   bool
	}{
		"no history":             {nil, nil, false},
		"too little history":     {nil, repeat(time.Millisecond, 4), false},
		"quick":                  {nil, repeat(time.Millisecond, 5), true},
		"slow":                   {nil, repeat(2*time.Second, 20), false},
		"one of twenty was slow": {nil, append(repeat(time.Millisecond, 19), time.Minute), true},
		"two of twenty":          {nil, append(repeat(time.Millisecond, 18), time.Minute, time.Minute), false},
		"always":                 {func(c *omni.AgentConfig) { c.Quick = "always" }, repeat(time.Minute, 20), true},
		"streaming":              {func(c *omni.AgentConfig) { c.Streaming = true }, repeat(time.Millisecond, 20), false},
		"streaming, always":      {func(c *omni.AgentConfig) { c.Streaming, c.Quick = true, "always" }, nil, false},
		"never":                  {func(c *omni.AgentConfig) { c.Quick = "never" }, repeat(time.Millisecond, 20), false},
		"echo":                   {func(c *omni.AgentConfig) { c.Provider = "echo" }, nil, true},
		"echo, never":            {func(c *omni.AgentConfig) { c.Provider, c.Quick = "echo", "never" }, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &agent.Quick{Log: &latencyLog{took: tc.past}}
			require.Equal(t, tc.want, q.Agent(t.Context(), instance(tc.change)))
		})
	}
}

func TestQuickWithoutAnAgent(t *testing.T) {
	t.Parallel()
	require.False(t, (&agent.Quick{}).Agent(t.Context(), &omni.Instance{}))
}

func TestQuickLearns(t *testing.T) {
	t.Parallel()
	log := &latencyLog{}
	q := &agent.Quick{Log: log}
	inst := instance(nil)
	for range 5 {
		require.False(t, q.Agent(t.Context(), inst))
		q.Observe(inst, time.Millisecond)
	}
	require.True(t, q.Agent(t.Context(), inst))
	require.Equal(t, 1, log.asked, "the log is read once")

	q.Observe(inst, 5*time.Second)
	require.False(t, q.Agent(t.Context(), inst), "it turned slow")

	other := *inst
	cfg := *inst.Settings.Agent
	cfg.Model = "another"
	other.Settings.Agent = &cfg
	require.False(t, q.Agent(t.Context(), &other), "another model is another agent")
}

func TestQuickAsksTheLogAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	log := &latencyLog{err: errors.New("down")}
	q := &agent.Quick{Log: log}
	inst := instance(nil)
	require.False(t, q.Agent(t.Context(), inst))
	log.took, log.err = repeat(time.Millisecond, 20), nil
	require.True(t, q.Agent(t.Context(), inst))
}

// What the log says after a restart is what was measured before it.
func TestQuickFromTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, says("hi"))
	for range 6 {
		w.converse(w.say(dm, "Ana", "hello"))
	}
	require.True(t, w.Quick.Agent(t.Context(), w.inst))
	restarted := &agent.Quick{Log: w.st}
	require.True(t, restarted.Agent(t.Context(), w.inst))
}

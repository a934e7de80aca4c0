package omni

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/omnihub/omni/channels"
)

// Instance is one connected account on a channel.
type Instance struct {
	ID              uuid.UUID
	TenantID        string
	Name            string
	Channel         string
	Settings        InstanceSettings
	ChannelConfig   json.RawMessage // secrets in the clear; never leaves the process
	AgentAPIKey     string          // secret
	AgentKey        string          // which agent Settings.Agent is: "" for the instance's own (AnsweredBy)
	Routes          []AgentRoute    // sorted; only where the instance was read to answer
	Status          channels.Status
	StatusReason    string
	LastConnectedAt *time.Time
	Disabled        bool  // disconnected by call: not to be connected at start
	Version         int64 // grows with every change
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// InstanceSettings is what of an instance's configuration is no secret. Its
// JSON is the contract's, without channelConfig and agent.apiKey.
type InstanceSettings struct {
	Agent     *AgentConfig    `json:"agent,omitempty"`   // nil: the instance only records
	AgentID   *uuid.UUID      `json:"agentId,omitempty"` // an agent by itself, in the place of Agent
	Messaging MessagingConfig `json:"messaging"`
	Media     MediaConfig     `json:"media"`
	Access    AccessConfig    `json:"access"`

	Routed bool `json:"-"` // some of its chats or persons have agents of their own
}

// AgentConfig says who answers. The API key is kept apart (Instance.AgentAPIKey).
type AgentConfig struct {
	Provider        string `json:"provider" enum:"echo,openai,anthropic,agno,webhook,custom,a2a" doc:"who answers"`
	APIURL          string `json:"apiUrl" doc:"base URL; for openai up to /v1"`
	Model           string `json:"model"`
	SystemPrompt    string `json:"systemPrompt"`
	TimeoutSeconds  int    `json:"timeoutSeconds" doc:"of one call"`
	MaxTokens       int    `json:"maxTokens" doc:"how long an answer of a language model (openai, anthropic) may be; 0: as long as the service lets it, of anthropic, which wants to be told, 8192 (Claude 3: 4096)"`
	Streaming       bool   `json:"streaming"`
	Session         string `json:"session" enum:"chat,user,user-in-chat"`
	HistoryMessages int    `json:"historyMessages" doc:"how many past messages the agent is told, where it keeps no memory of its own"`
	HistorySeconds  int    `json:"historySeconds" doc:"how old those may be; 0: however old"`
	RetryForSeconds int    `json:"retryForSeconds"`
	NoticeSeconds   int    `json:"noticeSeconds"`
	FallbackText    string `json:"fallbackText"`
	Quick           string `json:"quick" enum:"auto,always,never"`

	Custom  *CustomAgent      `json:"custom,omitempty" doc:"of provider custom"`
	Actions []AgentActionType `json:"actions,omitempty" enum:"buttons,media,react,no_reply,handoff,close" doc:"what a language model is offered to do beside answering, as functions; none where it is left out"`
	Gate    *GateConfig       `json:"gate,omitempty" doc:"decides whether the agent is asked at all, in groups"`
	Price   *AgentPrice       `json:"price,omitempty" doc:"what the model costs, where the hub does not know it"`
}

// MessagingConfig says when to answer and how.
type MessagingConfig struct {
	DebounceMode                string        `json:"debounceMode" enum:"disabled,fixed,randomized"`
	DebounceMs                  int           `json:"debounceMs"`
	DebounceMinMs               int           `json:"debounceMinMs"`
	DebounceMaxMs               int           `json:"debounceMaxMs"`
	DebounceMaxWaitMs           int           `json:"debounceMaxWaitMs"`
	WhenBusy                    string        `json:"whenBusy" enum:"queue,interrupt"`
	EnableAutoSplit             bool          `json:"enableAutoSplit"`
	SplitDelayMs                int           `json:"splitDelayMs" doc:"pause between the parts of a reply; typing is shown meanwhile"`
	SplitDelayMode              string        `json:"splitDelayMode" enum:"fixed,proportional" doc:"proportional: splitDelayMs for each 100 characters of the part that follows, at least a quarter and at most four times of it"`
	ReplyTTLSeconds             int           `json:"replyTtlSeconds"`
	CatchUpSeconds              int           `json:"catchUpSeconds"`
	Triggers                    TriggerConfig `json:"triggers"`
	TakeoverOnOwnMessageSeconds int           `json:"takeoverOnOwnMessageSeconds"`
	UnknownPolicy               string        `json:"unknownPolicy" enum:"hold,skip,resend"`
	ResetEmoji                  string        `json:"resetEmoji"`
	FollowUps                   []FollowUp    `json:"followUps,omitzero"`
}

// The values of MessagingConfig.WhenBusy: what a message does that comes while
// another turn of its chat is being answered.
const (
	WhenBusyQueue     = "queue"     // its turn waits behind
	WhenBusyInterrupt = "interrupt" // its turn takes the other's messages and answers for both
)

// TriggerConfig says which messages are for us.
type TriggerConfig struct {
	DM        bool     `json:"dm"`
	Mention   bool     `json:"mention"`
	Reply     bool     `json:"reply"`
	Names     []string `json:"names,omitzero"`
	Reactions []string `json:"reactions,omitzero"`
}

// FollowUp is one message sent when a chat stays silent.
type FollowUp struct {
	AfterSeconds int    `json:"afterSeconds"`
	Text         string `json:"text,omitempty"`
	AgentPrompt  string `json:"agentPrompt,omitempty"`
}

// MediaConfig says which attachments are processed.
type MediaConfig struct {
	ProcessAudio     bool  `json:"processAudio"`
	ProcessImages    bool  `json:"processImages"`
	ProcessVideo     bool  `json:"processVideo"`
	ProcessDocuments bool  `json:"processDocuments"`
	ProcessOnBlocked bool  `json:"processOnBlocked"`
	MaxBytes         int64 `json:"maxBytes"`
}

// AccessConfig says who may talk to the instance.
type AccessConfig struct {
	Mode string `json:"mode" enum:"disabled,blocklist,allowlist,pairing"`
}

// Memory is what the agent is told of the past.
func (a *AgentConfig) Memory() Memory {
	return Memory{Messages: max(a.HistoryMessages, 0), Within: time.Duration(a.HistorySeconds) * time.Second}
}

// DefaultSettings are the values of fields left out.
func DefaultSettings() InstanceSettings {
	return InstanceSettings{
		Messaging: MessagingConfig{
			DebounceMode: "disabled", DebounceMaxWaitMs: 30000, WhenBusy: WhenBusyQueue, EnableAutoSplit: true, SplitDelayMode: SplitDelayFixed,
			ReplyTTLSeconds: 86400, CatchUpSeconds: 86400, UnknownPolicy: "hold",
			Triggers: TriggerConfig{DM: true, Mention: true, Reply: true, Names: []string{}, Reactions: []string{}}, FollowUps: []FollowUp{},
		},
		Media: MediaConfig{ProcessAudio: true, ProcessImages: true, ProcessVideo: true, ProcessDocuments: true,
			MaxBytes: 26214400},
		Access: AccessConfig{Mode: "disabled"},
	}
}

// DefaultAgent are the values of agent fields left out.
func DefaultAgent() AgentConfig {
	return AgentConfig{Provider: "echo", TimeoutSeconds: 60, Session: "chat", HistoryMessages: 20,
		RetryForSeconds: 900, Quick: "auto"}
}

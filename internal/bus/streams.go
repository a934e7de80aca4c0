package bus

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omnihub/omni/internal/omni"
)

// The streams.
const (
	StreamChannel  = "CHANNEL"
	StreamMessages = "MESSAGES"
	StreamIdentity = "IDENTITY"
	StreamAccess   = "ACCESS"
	StreamMedia    = "MEDIA"
	StreamAgent    = "AGENT"
)

// The durable consumers of stream CHANNEL.
const (
	ConsumerRecorder = "recorder"
	ConsumerStarter  = "starter"
)

// The key-value buckets.
const (
	BucketLeases   = "leases"
	BucketQR       = "qr"
	BucketSessions = "sessions"
	BucketPresence = "presence"
	BucketTyping   = "typing"
	BucketTemp     = "temp"
)

// InboundWindow is how long stream CHANNEL knows a message id again.
const InboundWindow = 15 * time.Minute

// LeaseTTL is how long a lease stands that nobody renews: what a killed process
// held is free for others then.
const LeaseTTL = 8 * time.Second

const (
	day          = 24 * time.Hour
	fanOutWindow = 2 * time.Minute // longer than a relay takes to come back: republished events are dropped
	// The log in Postgres is the truth, so these forget early. Counted in
	// messages: a limit in bytes would be reserved on the disk in advance.
	fanOutMaxMsgs   = 1_000_000
	recorderAckWait = 30 * time.Second
	// A start takes milliseconds; what a killed process left must be taken up
	// soon enough for an answer 15 s after its restart.
	starterAckWait = 8 * time.Second
)

// streamTypes says which stream holds which event types. Subjects are
// <type>.<tenant>.<channel>.<instance>: exact types, never a bare "channel.>".
var streamTypes = []struct {
	stream string
	types  []omni.EventType
}{
	{StreamChannel, []omni.EventType{omni.EventChannelInbound, omni.EventChannelConnected, omni.EventChannelDisconnected,
		"channel.qr", "channel.pairing_code", "channel.logged_out", omni.EventChannelError}},
	{StreamMessages, []omni.EventType{omni.EventMessageReceived, omni.EventMessageEdited, omni.EventMessageDeleted,
		omni.EventMessageReaction, omni.EventMessageSending, omni.EventMessageSent, omni.EventMessageDelivered,
		omni.EventMessageRead, omni.EventMessageFailed, omni.EventMessageUnknown, omni.EventMessageExpired,
		"message.cancelled"}},
	{StreamIdentity, []omni.EventType{omni.EventIdentityCreated, omni.EventIdentityResolved, omni.EventIdentityUpdated, "identity.linked",
		"identity.unlinked", "identity.merged", "identity.merge_undone", "identity.suggested"}},
	{StreamAccess, []omni.EventType{omni.EventAccessChecked, "access.rule_created", "access.rule_updated",
		"access.rule_deleted", "access.paired"}},
	{StreamMedia, []omni.EventType{omni.EventMediaReceived, "media.processed", omni.EventMediaFailed}},
	{StreamAgent, []omni.EventType{omni.EventAgentRequest, omni.EventAgentResponse, omni.EventAgentError,
		omni.EventTurnStarted, omni.EventTurnCompleted, omni.EventTurnFailed, omni.EventTurnCancelled,
		omni.EventChatTakeover, omni.EventChatResumed, omni.EventChatReset, omni.EventFollowUpScheduled,
		omni.EventFollowUpSent, omni.EventFollowUpCancelled}},
}

var streamOf = func() map[omni.EventType]string {
	m := map[omni.EventType]string{}
	for _, s := range streamTypes {
		for _, t := range s.types {
			m[t] = s.stream
		}
	}
	return m
}()

// StreamOf names the stream that holds events of the type; false where none
// does: such events are in the log only.
func StreamOf(t omni.EventType) (string, bool) {
	s, ok := streamOf[t]
	return s, ok
}

// streams is the configuration of every stream. CHANNEL is the only place of
// what just arrived: it is written through (and synced, where the server is
// told to sync always) and refuses what does not fit instead of forgetting.
// The others can be refilled from the log and are written behind.
func streams() []jetstream.StreamConfig {
	var all []jetstream.StreamConfig
	for _, s := range streamTypes {
		cfg := jetstream.StreamConfig{
			Name: s.stream, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, MaxAge: 7 * day,
			AllowDirect: true, Duplicates: fanOutWindow, Discard: jetstream.DiscardOld, MaxMsgs: fanOutMaxMsgs,
			PersistMode: jetstream.AsyncPersistMode, MaxBytes: -1, MaxMsgSize: -1, MaxConsumers: -1, MaxMsgsPerSubject: -1,
		}
		if s.stream == StreamChannel {
			cfg.Discard, cfg.Duplicates, cfg.MaxMsgs = jetstream.DiscardNew, InboundWindow, -1
			cfg.PersistMode = jetstream.DefaultPersistMode
		}
		for _, t := range s.types {
			cfg.Subjects = append(cfg.Subjects, string(t)+".*.*.*")
		}
		all = append(all, cfg)
	}
	return all
}

// consumers is the configuration of the durable consumers of CHANNEL. Their
// deliveries are unlimited: only success, or a dead letter, ends them.
func consumers() []jetstream.ConsumerConfig {
	base := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1,
		FilterSubject: string(omni.EventChannelInbound) + ".*.*.*", ReplayPolicy: jetstream.ReplayInstantPolicy,
	}
	recorder, starter := base, base
	recorder.Durable, recorder.AckWait, recorder.MaxAckPending = ConsumerRecorder, recorderAckWait, 2048
	starter.Durable, starter.AckWait, starter.MaxAckPending = ConsumerStarter, starterAckWait, 1024
	return []jetstream.ConsumerConfig{recorder, starter}
}

// buckets is the configuration of every key-value bucket. What is worth
// nothing after a restart of the server stays in memory; a lease must outlive
// one, or two gateways could own the same account.
func buckets() []jetstream.KeyValueConfig {
	file := func(name string, ttl time.Duration) jetstream.KeyValueConfig {
		return jetstream.KeyValueConfig{Bucket: name, TTL: ttl, History: 1, Storage: jetstream.FileStorage}
	}
	memory := func(name string, ttl time.Duration) jetstream.KeyValueConfig {
		return jetstream.KeyValueConfig{Bucket: name, TTL: ttl, History: 1, Storage: jetstream.MemoryStorage}
	}
	return []jetstream.KeyValueConfig{
		file(BucketLeases, LeaseTTL),
		memory(BucketQR, 2*time.Minute),
		file(BucketSessions, day),
		memory(BucketPresence, 5*time.Minute),
		memory(BucketTyping, 30*time.Second),
		memory(BucketTemp, time.Hour),
	}
}

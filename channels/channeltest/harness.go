package channeltest

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/omnihub/omni/channels"
	"github.com/omnihub/omni/channels/message"
)

// Harness is a channel with a platform to test it on.
type Harness struct {
	Channel channels.Channel
	// Open starts a platform for one test and sets the hub's channelConfig.
	// What it starts ends with the test.
	Open func(t *testing.T, hub *Hub) Platform
	// BadConfigs are channelConfigs that Validate must refuse, by the field
	// that its ConfigError names ("channelConfig.secret").
	BadConfigs map[string][]string
	// Convert normalises one payload of the platform. Where it is set, each
	// file of testdata/in is converted and compared with its namesake in
	// testdata/out. OMNI_UPDATE_GOLDEN=1 writes those instead.
	Convert func(t *testing.T, raw []byte) []message.Inbound
}

// Platform is the other side of a channel, as a test drives it.
type Platform interface {
	// Chat is a direct chat that takes messages.
	Chat() message.Chat
	// Deliver lets a person write text in Chat. It does not wait. The platform
	// hands the event over until it is acknowledged, as its protocol does. ref
	// names the event in the calls below and is unique.
	Deliver(ref, text string)
	// Redeliver hands an acknowledged event over once more.
	Redeliver(ref string)
	// Acknowledged reports whether the channel has confirmed the event.
	Acknowledged(ref string) bool
	// Sent is what people see of us in Chat, in order.
	Sent() []Sent
}

// Sent is one bubble on the platform.
type Sent struct {
	ExternalID string
	Text       string // as it reads now
	Deleted    bool
}

// Fault is a way in which the platform treats the next send.
type Fault string

// The faults that the suite asks for.
const (
	FaultRateLimited Fault = "rate_limited" // refused, to be tried again in 3 seconds
	FaultServerError Fault = "server_error" // 500, not taken
	FaultRejected    Fault = "rejected"     // refused for good
	FaultDropAfter   Fault = "drop_after"   // taken, then the connection breaks off
	FaultSlow        Fault = "slow"         // no answer for as long as the caller waits
	FaultUnreachable Fault = "unreachable"  // nobody listens, from now on
)

// FaultInjector is implemented by platforms whose sends can fail.
type FaultInjector interface {
	Fault(f Fault)
}

// Soon is a context for waiting on what is about to happen.
func Soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Main runs a package's tests and fails if they leave a goroutine behind.
func Main(m *testing.M) { goleak.VerifyTestMain(m) }

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"describes itself", testInfo},
		{"capabilities agree with interfaces", testCapabilities},
		{"refuses bad configurations by field", testValidate},
		{"starts and stops", testStartStop},
		{"stops without a start", testStopWithoutStart},
		{"survives hurried starts and stops", testStress},
		{"stores before it acknowledges", testStoredBeforeAcknowledged},
		{"a refused event comes again", testRedeliveryAfterFailure},
		{"the same event has the same key", testDuplicate},
		{"keeps the order of what comes in", testInboundOrder},
		{"sends with receipts", testSend},
		{"sends the same key once", testIdempotentSend},
		{"edits and deletes", testEditDelete},
		{"edits again and again", testRepeatedEdits},
		{"refuses edits it cannot make", testRefusedEdits},
		{"shows typing", testTyping},
		{"sends nothing after its stop", testSendAfterStop},
		{"refuses content it cannot send", testUnsupported},
		{"types its errors", testErrors},
		{"leaves when the context ends", testCancel},
		{"normalises the golden payloads", testGolden},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, h)
		})
	}
}

// open makes a hub with a running platform.
func (h Harness) open(t *testing.T) (*Hub, Platform) {
	t.Helper()
	hub := NewHub(t, h.Channel)
	return hub, h.Open(t, hub)
}

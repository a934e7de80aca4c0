// Package channeltest is what a channel must pass.
//
// A channel's own test opens its platform (a fake on 127.0.0.1) and calls Run:
//
//	func TestMain(m *testing.M) { channeltest.Main(m) }
//
//	func TestConformance(t *testing.T) {
//		channeltest.Run(t, channeltest.Harness{Channel: mychannel.Channel{}, Open: openPlatform})
//	}
//
// The suite drives the channel through the contract of package channels alone:
// starting and stopping, what comes in (stored before the platform is told so,
// the same event under the same key), what goes out (receipts, idempotency,
// typed errors), and that capabilities as data agree with the interfaces. It
// depends on nothing but the contract, so that channels that live in modules
// of their own run it too.
package channeltest

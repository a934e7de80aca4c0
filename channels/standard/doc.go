// Package standard registers the channels that ship in the omni binary. A
// distribution of one's own imports the channels it wants instead.
package standard

import (
	_ "github.com/omnihub/omni/channels/custom"
	_ "github.com/omnihub/omni/channels/telegram"
	_ "github.com/omnihub/omni/channels/webchat"
)

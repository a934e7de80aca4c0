package channels

import (
	"fmt"
	"sort"
	"sync"
)

var registry = struct {
	sync.RWMutex
	byType map[string]Channel
}{byType: map[string]Channel{}}

// Register adds a channel to the binary. It is called from init functions and
// panics on a missing or doubled type, which are programming errors.
func Register(c Channel) {
	registry.Lock()
	defer registry.Unlock()
	t := c.Info().Type
	if t == "" {
		panic("channels: a channel without a type")
	}
	if _, ok := registry.byType[t]; ok {
		panic(fmt.Sprintf("channels: %q is registered twice", t))
	}
	registry.byType[t] = c
}

// Lookup returns the channel of that type.
func Lookup(channelType string) (Channel, bool) {
	registry.RLock()
	defer registry.RUnlock()
	c, ok := registry.byType[channelType]
	return c, ok
}

// All returns every registered channel, sorted by type.
func All() []Channel {
	registry.RLock()
	defer registry.RUnlock()
	all := make([]Channel, 0, len(registry.byType))
	for _, c := range registry.byType {
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Info().Type < all[j].Info().Type })
	return all
}

package e2e

import "testing"

// share runs a subtest on a hub that is started once for several. What fails
// or is cleaned up in it is the subtest's.
func (h *hub) share(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		whole := h.t
		h.t = t
		// After the subtest's own cleanups, which may still use the hub.
		t.Cleanup(func() { h.t = whole })
		test(t)
	})
}

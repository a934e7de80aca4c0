package store

// Nudge tells whoever tails the log in this process that there is more. It
// never blocks; a nudge that nobody waits for is remembered once.
func (s *Store) Nudge() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// Nudged is signalled after writes of this process.
func (s *Store) Nudged() <-chan struct{} { return s.nudge }

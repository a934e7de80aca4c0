// Package omni is the domain that never leaves us: instances and their
// configuration, persons, chats, turns, events, and the pure decisions taken
// over them (ids, triggers, debounce, splitting). It does no I/O.
package omni

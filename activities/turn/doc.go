// Package turn is the turn.* steps: one chat, one lock. The decisions are
// functions of the database (migrations/00003_turns.sql); this package brings
// them what they need and asks Temporal about turns that look abandoned.
package turn

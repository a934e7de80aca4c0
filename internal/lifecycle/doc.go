// Package lifecycle starts and stops what runs: one small contract, and a
// group that starts its members in order and stops them in reverse.
package lifecycle

// Package cli is the omni command: the processes (up, serve), their care
// (migrate, doctor, config, version), and the API as commands. It is the one
// place where everything is wired together.
package cli

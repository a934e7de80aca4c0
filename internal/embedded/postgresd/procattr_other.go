//go:build !linux

package postgresd

import "syscall"

// sysProcAttr makes the child run as owner, in a process group of its own (a
// Ctrl-C in the terminal is ours to handle, not Postgres's).
func sysProcAttr(owner *Owner) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if owner != nil {
		attr.Credential = &syscall.Credential{Uid: owner.UID, Gid: owner.GID}
	}
	return attr
}

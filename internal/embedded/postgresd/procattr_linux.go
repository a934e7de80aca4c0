package postgresd

import "syscall"

// sysProcAttr makes the child run as owner, in a process group of its own (a
// Ctrl-C in the terminal is ours to handle, not Postgres's), and die with the
// thread that started it: starters must lock theirs.
func sysProcAttr(owner *Owner) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	if owner != nil {
		attr.Credential = &syscall.Credential{Uid: owner.UID, Gid: owner.GID}
	}
	return attr
}

package postgresd

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
)

// Owner is the user that Postgres runs as when we are root, which it refuses
// to be. A nil Owner is the user we are.
type Owner struct {
	Name     string
	UID, GID uint32
}

// FindOwner returns nil unless the process is root; then the first of the
// unprivileged users that systems have.
func FindOwner() (*Owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil is "ourselves", documented
	}
	for _, name := range []string{"postgres", "nobody", "daemon"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &Owner{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
	}
	return nil, errors.New("running Postgres as root is refused by Postgres, and there is no user postgres, nobody or daemon to run it as: run omni as an ordinary user")
}

// own hands a file or folder to the owner.
func (o *Owner) own(path string) error {
	if o == nil {
		return nil
	}
	if err := os.Lchown(path, int(o.UID), int(o.GID)); err != nil {
		return fmt.Errorf("giving %s to user %s: %w", path, o.Name, err)
	}
	return nil
}

package postgresd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// ErrNoBinaries says that no Postgres is installed where we look.
var ErrNoBinaries = errors.New("no Postgres binaries (postgres, initdb) on PATH or in the distribution's folders: " +
	"install them (Debian, Ubuntu: apt-get install postgresql) or set DATABASE_URL")

// distributionGlobs are where packagers put binaries without putting them on PATH.
var distributionGlobs = []string{
	"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                   // PGDG RPMs
	"/usr/libexec/postgresql*",           // Alpine
	"/usr/local/pgsql/bin",               // from source
	"/opt/homebrew/opt/postgresql@*/bin", // Homebrew on arm64
	"/usr/local/opt/postgresql@*/bin",    // Homebrew on amd64
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// FindBinaries returns the folder that holds postgres and initdb: from PATH
// first, then the newest of the distribution's. A cluster can only be run by
// the major version that made it: if major is not empty, a folder of that
// version is preferred. The error is ErrNoBinaries.
func FindBinaries(major string) (string, error) {
	var candidates []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// PATH often holds a symlink; initdb looks for its siblings beside the target.
		if target, err := filepath.EvalSymlinks(path); err == nil {
			candidates = append(candidates, filepath.Dir(target))
		}
	}
	for _, glob := range distributionGlobs {
		found, err := filepath.Glob(glob)
		if err != nil {
			continue
		}
		sort.Slice(found, func(i, j int) bool { return versionIn(found[i]) > versionIn(found[j]) })
		candidates = append(candidates, found...)
	}
	candidates = slices.DeleteFunc(candidates, func(dir string) bool { return !complete(dir) })
	if len(candidates) == 0 {
		return "", ErrNoBinaries
	}
	for _, dir := range candidates {
		if major != "" && strconv.Itoa(versionIn(dir)) == major {
			return dir, nil
		}
	}
	return candidates[0], nil
}

func complete(dir string) bool {
	for _, name := range []string{"postgres", "initdb"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// versionIn reads the last number of a path: the major version, in every
// folder of distributionGlobs.
func versionIn(path string) int {
	digits := strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	version, err := strconv.Atoi(digits[len(digits)-1])
	if err != nil {
		return 0
	}
	return version
}

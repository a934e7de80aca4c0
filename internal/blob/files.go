package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// What the store says of what it is handed or asked for.
var (
	ErrTooLarge = errors.New("is larger than the limit")
	ErrNotFound = fmt.Errorf("there are no such bytes: %w", fs.ErrNotExist)
)

// Info is what is known of bytes once they are kept.
type Info struct {
	Size   int64
	SHA256 string // hex
}

// Files keeps bytes as files of a directory. Safe for concurrent use, also by
// several processes.
type Files struct {
	dir string
}

// New returns the store in a directory, which is made when it is first needed.
func New(dir string) *Files { return &Files{dir: dir} }

// Put keeps all that r holds under id, at most limit bytes, else ErrTooLarge.
// What was kept under id before is replaced, at once or not at all: a process
// that dies meanwhile leaves the bytes of before.
func (f *Files) Put(id uuid.UUID, r io.Reader, limit int64) (info Info, err error) {
	dir := filepath.Dir(f.path(id))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Info{}, fmt.Errorf("making the folder of attachment %s: %w", id, err)
	}
	tmp, err := os.CreateTemp(dir, "."+id.String()+"-*")
	if err != nil {
		return Info{}, fmt.Errorf("keeping attachment %s: %w", id, err)
	}
	defer func() {
		_ = tmp.Close() // again, where all went well
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	hash := sha256.New()
	// One byte more than may be tells that there are more.
	if info.Size, err = io.Copy(io.MultiWriter(tmp, hash), io.LimitReader(r, limit+1)); err != nil {
		return Info{}, fmt.Errorf("keeping attachment %s: %w", id, err)
	}
	if info.Size > limit {
		return Info{}, ErrTooLarge
	}
	info.SHA256 = hex.EncodeToString(hash.Sum(nil))
	for _, step := range []func() error{tmp.Sync, tmp.Close, func() error { return os.Rename(tmp.Name(), f.path(id)) }} {
		if err = step(); err != nil {
			return Info{}, fmt.Errorf("keeping attachment %s: %w", id, err)
		}
	}
	return info, nil
}

// Open returns the bytes kept under id, or ErrNotFound. The caller closes it.
func (f *Files) Open(id uuid.UUID) (io.ReadSeekCloser, error) {
	file, err := os.Open(f.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("opening attachment %s: %w", id, err)
	}
	return file, nil
}

// path spreads the files over folders: the last digits of an id are random.
func (f *Files) path(id uuid.UUID) string {
	name := id.String()
	return filepath.Join(f.dir, name[len(name)-2:], name)
}

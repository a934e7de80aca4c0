package hooks

import (
	"errors"
	"io"
	"sync/atomic"
)

// maxBodies is how many bytes the large bodies of callers who have not shown
// yet who they are hold together. Small ones are not counted: whoever fills
// the room with large ones keeps no usual call out.
const maxBodies = 128 << 20

var errNoRoom = errors.New("too many large bodies at once")

// allowance is what several readers may hold together. Safe for concurrent use.
type allowance struct{ left atomic.Int64 }

func newAllowance(n int64) *allowance {
	a := &allowance{}
	a.left.Store(n)
	return a
}

func (a *allowance) take(n int64) bool {
	if a.left.Add(-n) >= 0 {
		return true
	}
	a.left.Add(n)
	return false
}

// countedReader takes what it reads, beyond its first free bytes, from an
// allowance; errNoRoom where nothing is left of that.
type countedReader struct {
	from      io.Reader
	allowance *allowance
	free      int64
	taken     int64
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	counted := max(int64(n)-r.free, 0)
	r.free = max(r.free-int64(n), 0)
	if counted > 0 {
		if !r.allowance.take(counted) {
			return 0, errNoRoom
		}
		r.taken += counted
	}
	return n, err
}

func (r *countedReader) release() {
	r.allowance.left.Add(r.taken)
	r.taken = 0
}

package blob_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/blob"
)

func TestWhatIsKeptIsReadAgain(t *testing.T) {
	t.Parallel()
	files := blob.New(filepath.Join(t.TempDir(), "media"))
	id := uuid.New()
	_, err := files.Open(id)
	require.ErrorIs(t, err, blob.ErrNotFound)
	for _, text := range []string{"hello", "hello again", ""} {
		info, err := files.Put(id, strings.NewReader(text), 11)
		require.NoError(t, err)
		require.EqualValues(t, len(text), info.Size)
		require.Len(t, info.SHA256, 64)
		r, err := files.Open(id)
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, text, string(got))
	}
}

// What is too large, or breaks off, leaves what was there before, and nothing else.
func TestWhatCannotBeKeptLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := blob.New(dir)
	id := uuid.New()
	_, err := files.Put(id, strings.NewReader("before"), 6)
	require.NoError(t, err)
	broken := errors.New("cut off")
	for _, r := range map[error]io.Reader{
		blob.ErrTooLarge: strings.NewReader("longer than that"),
		broken:           io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)),
	} {
		_, err := files.Put(id, r, 6)
		require.Error(t, err)
	}
	_, err = files.Put(id, strings.NewReader("1234567"), 6)
	require.ErrorIs(t, err, blob.ErrTooLarge)
	r, err := files.Open(id)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "before", string(got))
	var names []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if !d.IsDir() {
			names = append(names, filepath.Base(path))
		}
		return err
	}))
	require.Equal(t, []string{id.String()}, names)
}

func TestNobodyElseReadsThem(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "media")
	id := uuid.New()
	_, err := blob.New(dir).Put(id, strings.NewReader("x"), 1)
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		info, _ := d.Info()
		require.Zero(t, info.Mode().Perm()&0o077)
		return err
	}))
}

package postgresd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFindBinaries looks in folders of its own: not parallel, as it changes
// PATH and where distributions put binaries.
func TestFindBinaries(t *testing.T) {
	root := t.TempDir()
	install := func(parts ...string) string {
		dir := filepath.Join(append([]string{root}, parts...)...)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		for _, name := range []string{"postgres", "initdb"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o700))
		}
		return dir
	}
	globs := distributionGlobs
	t.Cleanup(func() { distributionGlobs = globs })
	distributionGlobs = []string{filepath.Join(root, "lib", "*", "bin")}
	t.Setenv("PATH", filepath.Join(root, "path"))

	_, err := FindBinaries("")
	require.ErrorIs(t, err, ErrNoBinaries)
	require.ErrorContains(t, err, "apt-get install postgresql")
	require.NotContains(t, err.Error(), "\n")

	old, newest := install("lib", "9", "bin"), install("lib", "17", "bin")
	found, err := FindBinaries("")
	require.NoError(t, err)
	require.Equal(t, newest, found, "by number, not by letter")
	found, err = FindBinaries("9")
	require.NoError(t, err)
	require.Equal(t, old, found, "a cluster is run by the version that made it")

	require.NoError(t, os.MkdirAll(filepath.Join(root, "lib", "18", "bin"), 0o700))
	found, err = FindBinaries("")
	require.NoError(t, err)
	require.Equal(t, newest, found, "a folder without initdb is of no use")

	target := install("elsewhere")
	require.NoError(t, os.Mkdir(filepath.Join(root, "path"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(target, "postgres"), filepath.Join(root, "path", "postgres")))
	found, err = FindBinaries("")
	require.NoError(t, err)
	require.Equal(t, target, found, "PATH comes first, and its links are followed")
}

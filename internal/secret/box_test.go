package secret_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/secret"
)

func TestBoxRoundTrip(t *testing.T) {
	t.Parallel()
	b, err := secret.New(secret.GenerateKey())
	require.NoError(t, err)
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("token"), 1000)} {
		sealed, err := b.Seal(plain, "owner")
		require.NoError(t, err)
		if len(plain) > 4 {
			require.NotContains(t, string(sealed), string(plain[:5]))
		}
		got, err := b.Open(sealed, "owner")
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))
	}
}

func TestBoxRefuses(t *testing.T) {
	t.Parallel()
	b, err := secret.New(secret.GenerateKey())
	require.NoError(t, err)
	other, err := secret.New(secret.GenerateKey())
	require.NoError(t, err)
	sealed, err := b.Seal([]byte("token"), "a")
	require.NoError(t, err)

	_, err = b.Open(sealed, "b")
	require.ErrorContains(t, err, "another owner")
	_, err = other.Open(sealed, "a")
	require.ErrorIs(t, err, secret.ErrOtherKey)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		_, err = b.Open(bad, "a")
		require.Error(t, err, "byte %d", i)
	}
	for i := range sealed {
		_, err = b.Open(sealed[:i], "a")
		require.Error(t, err, "cut at %d", i)
	}
}

func TestKeyForms(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb, 0xff}, 16)
	first, err := secret.New(base64.StdEncoding.EncodeToString(raw))
	require.NoError(t, err)
	sealed, err := first.Seal([]byte("s"), "o")
	require.NoError(t, err)
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		b, err := secret.New(" " + enc.EncodeToString(raw) + "\n")
		require.NoError(t, err)
		_, err = b.Open(sealed, "o")
		require.NoError(t, err)
	}
	for _, bad := range []string{"", "short", base64.StdEncoding.EncodeToString(raw[:31]), "!!!"} {
		_, err := secret.New(bad)
		require.Error(t, err)
		if bad != "" {
			require.NotContains(t, err.Error(), bad)
		}
	}
}

package omni

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNormalizePhone(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"+5511987654321":        "+5511987654321",
		"+55 (11) 98765-4321":   "+5511987654321",
		"5511987654321":         "+5511987654321",
		" +44 (0)20 7946 0018 ": "+442079460018",
		"+1.202.555.0143":       "+12025550143",
		"":                      "",
		"+":                     "",
		"12":                    "",
		"+123":                  "",
		"phone":                 "",
		"+1 800 FLOWERS":        "",
		"+5511987654321 ext 3":  "",
		"+55119*":               "",
		"+99999999999999999999": "",
	} {
		got, ok := NormalizePhone(in)
		require.Equal(t, want, got, in)
		require.Equal(t, want != "", ok, in)
	}
}

func FuzzNormalizePhone(f *testing.F) {
	for _, s := range []string{"+5511987654321", "+44 (0)20 7946 0018", "00", "+-", "((("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, ok := NormalizePhone(s)
		if !ok {
			return
		}
		again, ok := NormalizePhone(once)
		require.True(t, ok, "%q became %q", s, once)
		require.Equal(t, once, again)
		require.LessOrEqual(t, len(once), 18)
	})
}

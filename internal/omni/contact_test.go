package omni_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omnihub/omni/internal/omni"
)

func TestVerifiedPhone(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"+55 11 98765-4321":     "+5511987654321",
		"0055 (11) 98765.4321":  "+5511987654321",
		" 5511987654321 ":       "+5511987654321", // as WhatsApp writes it
		"+4915112345678":        "+4915112345678",
		"+49 (0)151 12345678":   "+4915112345678",
		"+15550001111":          "+15550001111", // in no plan, but somebody has it
		"0151 12345678":         "",             // of which country?
		"98765-4321":            "",
		"+999 12345678":         "", // no such country
		"+49":                   "",
		"+":                     "",
		"":                      "",
		"ana":                   "",
		"+5511987654321 ext 5":  "", // shared with others
		"+12345678901234567890": "",
	} {
		require.Equal(t, want, omni.VerifiedPhone(given), given)
	}
}

func TestVerifiedEmail(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		" Ana@Example.COM ":       "ana@example.com",
		"ana+tag@example.com":     "ana+tag@example.com",
		"Ana <ana@example.com>":   "",
		"ana":                     "",
		"ana@":                    "",
		"a@example.com,b@example": "",
		"":                        "",
	} {
		require.Equal(t, want, omni.VerifiedEmail(given), given)
	}
}

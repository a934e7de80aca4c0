package omni

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		names    []string
		text     string
		mentions []string
		want     bool
	}{
		"none":                         {text: "omni"},
		"alone":                        {names: []string{"omni"}, text: "omni", want: true},
		"case":                         {names: []string{"oMNI"}, text: "hey OmNi!", want: true},
		"diacritics in the text":       {names: []string{"Jose"}, text: "¿José, estás?", want: true},
		"diacritics in the name":       {names: []string{"Zoë"}, text: "zoe?", want: true},
		"composed and decomposed":      {names: []string{"Jos\u00e9"}, text: "Jose\u0301!", want: true},
		"letters taken apart":          {names: []string{"Søren"}, text: "hi soren", want: true},
		"sharp s":                      {names: []string{"Strauß"}, text: "Herr STRAUSS", want: true},
		"dotted capital i":             {names: []string{"istanbul"}, text: "İstanbul", want: true},
		"final sigma":                  {names: []string{"ΟΔΥΣΣΕΥΣ"}, text: "γεια σου Οδυσσεύς", want: true},
		"wide letters":                 {names: []string{"omni"}, text: "ｏｍｎｉ", want: true},
		"hebrew points":                {names: []string{"שלום"}, text: "שָׁלוֹם", want: true},
		"arabic vowel signs":           {names: []string{"محمد"}, text: "يا مُحَمَّد", want: true},
		"vowels of India are no marks": {names: []string{"कि"}, text: "को", want: false},
		"inside a word":                {names: []string{"omni"}, text: "omnibus insomnia"},
		"inside, then alone":           {names: []string{"ana"}, text: "banana ana", want: true},
		"overlapping itself":           {names: []string{"anan ana"}, text: "banan ana, anan ana", want: true},
		"digits belong to the word":    {names: []string{"omni"}, text: "omni2"},
		"punctuation around":           {names: []string{"omni"}, text: "(omni),", want: true},
		"possessive":                   {names: []string{"omni"}, text: "omni's answer", want: true},
		"emphasis":                     {names: []string{"omni"}, text: "_omni_ *omni*", want: true},
		"another account's handle":     {names: []string{"omni"}, text: "ask omni_bot"},
		"two words":                    {names: []string{"dr bot"}, text: "Dr Bot?", want: true},
		"name of signs":                {names: []string{"c++"}, text: "C++11", want: true},
		"emoji beside":                 {names: []string{"omni"}, text: "👋omni👋", want: true},
		"emoji as a name":              {names: []string{"🤖"}, text: "hey🤖there", want: true},
		"chinese":                      {names: []string{"小明"}, text: "请问小明今天好吗", want: true},
		"japanese, with a particle":    {names: []string{"オムニ"}, text: "オムニさん、お願い", want: true},
		"japanese, inside a word":      {names: []string{"オムニ"}, text: "オムニバス"},
		"latin beside chinese":         {names: []string{"omni"}, text: "请omni回答", want: true},
		"cyrillic":                     {names: []string{"Омни"}, text: "привет, ОМНИ!", want: true},
		"web address":                  {names: []string{"omni"}, text: "see https://omni.example/x and www.omni.example"},
		"mail address":                 {names: []string{"omni"}, text: "write to help@omni.example"},
		"beside an address":            {names: []string{"omni"}, text: "omni, see https://example.org", want: true},
		"at the name":                  {names: []string{"omni"}, text: "@omni hello", want: true},
		"configured with at":           {names: []string{"@Omni "}, text: "omni", want: true},
		"platform's mention":           {names: []string{"José"}, mentions: []string{"@jose"}, want: true},
		"another mention":              {names: []string{"omni"}, mentions: []string{"omni_bot"}},
		"blank":                        {names: []string{" ", "@"}, text: "a b @"},
		"empty text":                   {names: []string{"omni"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, named(tc.names, tc.text, tc.mentions))
		})
	}
}

func FuzzNamed(f *testing.F) {
	f.Add("omni", "hey omni")
	f.Add("\xff", "a\xff\xffb")
	f.Add("é", "e\u0301")
	f.Add("_", "__")
	f.Fuzz(func(t *testing.T, name, text string) {
		named([]string{name}, text, []string{text}) // ends, and does not panic
		if foldName(name) != "" && foldName(withoutAddresses(name)) == foldName(name) && name[0] != '@' {
			require.True(t, containsWord(foldName(name), foldName(name)), "a name is said where nothing else is")
		}
	})
}

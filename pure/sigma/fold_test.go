package sigma

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

// The scanner relies on it.
func TestOnlyTwoCharactersFoldIntoASCII(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if f := fold(string(r)); len(f) > 0 && f[0] < utf8.RuneSelf && utf8.ValidRune(r) != foldsToASCII([]byte(string(r))) {
			t.Errorf("%U folds to %q", r, f)
		}
	}
}

func TestFoldingIsTheSameInEveryPosition(t *testing.T) {
	for _, s := range []string{"", "A", "ABCDEFGH", "ABCDEFGHI", "abcÄdefGHIJKLMN", "Ä", "ÄABCDEFGHIJKÖ", "\xffABCDEFGHIJ\xc3", "[\\]^_`@{|}~AZaz"} {
		want := ""
		for i := 0; i < len(s); {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				want += s[i : i+1]
			} else {
				want += string(unicode.ToLower(r))
			}
			i += n
		}
		if got := fold(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

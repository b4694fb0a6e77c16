package sigma

import (
	"regexp"
	"testing"
)

var regexCases = []string{
	`a`, `^a`, `a$`, `^a$`, `^$`, ``, `a|b`, `(?i)set.*&&`, `\bfoo\b`, `(?m)^x$`, `(?s)a.b`, `a.b`, `.{5,}`, `[^a-z]+x`, `\w+\x60\w`,
	`(?i)straße`, `(?i)k`, `ä+`, `(a|ab)(c|bcd)`, `x*`, `\Bo\B`, `(foo|bar){2,3}z`, `[[:alpha:]]{3}$`, `\pL+1`, `^(?:\s|a)*$`, `.{8,}`, `[a-zé]{8,9}`, `(?s).{9}`, `[^\n]{8}`,
}

var texts = []string{
	"", "a", "b", "xa", "ax", "foo bar", "food", "x", "y\nx\nz", "a\nb", "axb", "12345", "1234", "ABCx", "aaa`b", "STRASSE straße", "\u212a", "ää",
	"abcd", "booo", "foobarz", "barz", "set && set", "SeT x &&", "éa1", "\xff\xfea", "  a a", "foo\n", "\nfoo", "a\n", "abcdefgh", "abcdefg\n", "abcd\nefgh", "éééééééé", "\xff\xff\xff\xff\xff\xff\xff\xff",
}

func TestAutomatonAgreesWithRegexp(t *testing.T) {
	for _, src := range regexCases {
		p := compileRegex(src)
		if p == nil { // too many classes: package regexp does it
			continue
		}
		d, re := newDFA(p), regexp.MustCompile(src)
		for range 2 { // the second time from the table
			for _, s := range texts {
				got := p.couldMatch([]byte(s), []byte(fold(s))) && d.match([]byte(s))
				if want := re.MatchString(s); got != want {
					t.Errorf("/%s/ on %q: %v, want %v", src, s, got, want)
				}
			}
		}
	}
}

func FuzzAutomaton(f *testing.F) {
	for i, src := range regexCases {
		f.Add(src, texts[i])
	}
	f.Fuzz(func(t *testing.T, src, s string) {
		re, err := regexp.Compile(src)
		if err != nil || len(src) > 100 || len(s) > 200 {
			return
		}
		p := compileRegex(src)
		if p == nil {
			return
		}
		got := p.couldMatch([]byte(s), []byte(fold(s))) && newDFA(p).match([]byte(s))
		if want := re.MatchString(s); got != want {
			t.Errorf("/%s/ on %q: %v, want %v", src, s, got, want)
		}
	})
}

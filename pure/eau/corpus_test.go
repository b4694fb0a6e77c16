package eau_test

import (
	"strings"
	"testing"

	"leitstand/pure/eau"
)

// shouldBeValid says what the folder of a corpus file promises.
func shouldBeValid(name string) bool { return strings.Contains("/"+name, "/valid/") }

func TestValidBundlesPassAndInvalidOnesFail(t *testing.T) {
	corpus(t, ".", func(name string, b []byte) {
		if !strings.Contains(name, "bundles/") && !strings.Contains(name, "storno/") && !strings.Contains(name, "fehler/") {
			return
		}
		r := eau.Check(b, eau.Options{})
		if r.Valid == shouldBeValid(name) {
			return
		}
		t.Errorf("%s: valid %v, version %s", name, r.Valid, r.Version)
		for _, f := range r.Findings {
			t.Logf("  %v %s %s:%d %s", f.Severity, f.Key, f.Path, f.Line, f.Text)
		}
	})
}

package sigma

import (
	"archive/zip"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// same compares all but the lines.
func same(a, b *node) bool {
	if a.kind != b.kind || a.text != b.text || a.quoted != b.quoted || len(a.kids) != len(b.kids) || len(a.keys) != len(b.keys) {
		return false
	}
	for i := range a.keys {
		if !same(a.keys[i], b.keys[i]) {
			return false
		}
	}
	for i := range a.kids {
		if !same(a.kids[i], b.kids[i]) {
			return false
		}
	}
	return true
}

// sameLines: problems must name the same line, whoever has read the file.
func sameLines(a, b *node) bool {
	if a.line != b.line && (a.kind != scalarNode || !a.isNull()) {
		return false
	}
	for i := range a.kids {
		if !sameLines(a.kids[i], b.kids[i]) || (a.kind == mapNode && a.keys[i].line != b.keys[i].line) {
			return false
		}
	}
	return true
}

func compareYAML(t *testing.T, name string, data []byte) bool {
	t.Helper()
	got, ok := quickYAML(data)
	if !ok {
		return false
	}
	want, err := fullYAML(data)
	if err != nil {
		t.Errorf("%s: read quickly, but: %v\n%s", name, err, data)
		return true
	}
	if len(want) != len(got) || !same(&node{kids: want}, &node{kids: got}) {
		t.Errorf("%s (-full +quick):\n%s\n%q", name, cmp.Diff(want, got, cmp.AllowUnexported(node{})), data)
		return true
	}
	for i := range want {
		if !sameLines(want[i], got[i]) {
			t.Errorf("%s: lines differ", name)
		}
	}
	return true
}

func TestQuickYAMLReadsPublishedRulesAsTheFullParser(t *testing.T) {
	z, err := zip.OpenReader("../../../shared/data/detect/sigmahq-rules.zip")
	if err != nil {
		t.Skip("suite left out: the shared rules are not here")
	}
	defer func() { _ = z.Close() }() // read only
	quick, all := 0, 0
	for i, f := range z.File {
		if !strings.HasSuffix(f.Name, ".yml") || (testing.Short() && i%10 != 0) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all++
		if compareYAML(t, f.Name, data) {
			quick++
		}
	}
	if quick*10 < all*9 {
		t.Errorf("only %d of %d rules are read quickly", quick, all)
	}
	t.Logf("%d of %d", quick, all)
}

func TestQuickYAMLOnCornerCases(t *testing.T) {
	for _, s := range yamlCases {
		compareYAML(t, s, []byte(s))
	}
	for n := 990; n < 1040; n++ { // around YAML's limit for keys
		key := strings.Repeat("$", n)
		compareYAML(t, "long key", []byte(key+": y\n"))
		compareYAML(t, "long quoted key", []byte("'"+key+"': y\n"))
	}
}

var yamlCases = []string{
	"a: 1\nb: 'it''s'\nc: \"x\"\n", "a:\n  - x\n  - 'y'\nb:\n- z\nc: [1, 'a b', c]\n", "a: |\n  x\n   y\n\n  z\nb: >\n  l\n  m\n\n  n\n",
	"a:\n  - b: 1\n    c: 2\n  - d:\n      - e\n", "a: b # c\n# d\n\ne: # f\n  g: h\n", "a: b\n  c\n", "a:\nb: ~\n", "---\na: 1\n---\nb: 2\n",
	"a: 'x' # y\n", "a: x: y\n", "a: [x, y\n", "a: b#c\n", "a: |-\n  x\n\nb: >-\n  y\n  z\n", "'|all':\n  - x\n", "a: -x\nb: - y\n", "a:\n  b:\n c:\n",
	"a: \"x\\n\"\n", "a: 'b\n  c'\n", "a:\n- b: c\n- d\ne: f\n", "a: *b\n", "a: &x b\n", "a: !!str 1\n", "? a\n: b\n", "a: {b: c}\n", "a: >\n  x\n    y\n", "- a\n",
	"a:  b  \n", "a : b\n", "a:b\n", "a: b:c\n", "a: http://x\n", "<<: b\n", "a: 1\na: 2\n", "a:\n  - |\n    x\n  - y\n", "a: []\n", "a: [a,b]\n", "a: [a, ]\n",
}

func FuzzQuickYAML(f *testing.F) {
	for _, s := range yamlCases {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) < 2000 {
			compareYAML(t, "fuzz", []byte(s))
		}
	})
}

package eau

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// publishedCodes reads the code systems and value sets of the published packages.
type publishedCodes struct {
	systems map[string][]string // URL -> codes
	sets    map[string]publishedSet
}

type publishedSet struct {
	Compose struct {
		Include []struct {
			System  string          `json:"system"`
			Concept []publishedCode `json:"concept"`
			Filter  []any           `json:"filter"`
		} `json:"include"`
	} `json:"compose"`
}

type publishedCode struct {
	Code    string          `json:"code"`
	Concept []publishedCode `json:"concept"`
}

func flatCodes(list []publishedCode) []string {
	var out []string
	for _, c := range list {
		out = append(append(out, c.Code), flatCodes(c.Concept)...)
	}
	return out
}

func readPublishedCodes(t *testing.T) publishedCodes {
	t.Helper()
	const base = "../../../shared/data/eau/"
	p := publishedCodes{map[string][]string{}, map[string]publishedSet{}}
	for _, pattern := range []string{
		"code-tables/*/package/*_CS_*.json", "code-tables/*/package/*_VS_*.json",
		"code-tables/*/package/CodeSystem-versicherungsart-de-basis.json", "code-tables/*/package/CodeSystem-anlage-8*.json",
		"1.2.1/profiles/snapshot/KBV_?S_*.json",
	} {
		files, err := filepath.Glob(base + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			p.read(t, file)
		}
	}
	return p
}

func (p publishedCodes) read(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var head struct {
		ResourceType string          `json:"resourceType"`
		URL          string          `json:"url"`
		Concept      []publishedCode `json:"concept"`
		publishedSet
	}
	if err := json.Unmarshal(b, &head); err != nil {
		t.Fatalf("%s: %v", filepath.Base(file), err)
	}
	switch head.ResourceType {
	case "CodeSystem":
		p.systems[head.URL] = flatCodes(head.Concept)
	case "ValueSet":
		p.sets[head.URL[strings.LastIndexByte(head.URL, '/')+1:]] = head.publishedSet
	}
}

// codes returns what a value set contains, and whether it can be told from the files here.
func (p publishedCodes) codes(name string) (map[code]bool, bool) {
	set, ok := p.sets[name]
	out := map[code]bool{}
	for _, in := range set.Compose.Include {
		list := flatCodes(in.Concept)
		if len(list) == 0 {
			list = p.systems[in.System]
		}
		ok = ok && len(list) > 0 && len(in.Filter) == 0
		for _, c := range list {
			out[code{in.System, c}] = true
		}
	}
	return out, ok
}

// TestTheCodesAreThePublishedOnes holds every table of 1.2.1 against the published value sets.
func TestTheCodesAreThePublishedOnes(t *testing.T) {
	published := readPublishedCodes(t)
	if len(published.sets) == 0 {
		t.Skip("suite left out: no published code tables")
	}
	ours, err := parseCodes(tableCodes, V121)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for name, set := range ours {
		want, ok := published.codes(name)
		if !ok {
			if strings.HasPrefix(name, "KBV_VS_") {
				t.Logf("%s is not among the published tables at hand", name)
			}
			continue
		}
		compared++
		for c := range want {
			if !set.has(c, "2026-04-01") {
				t.Errorf("%s: %s of %s is missing", name, c.code, c.system)
			}
		}
		for c := range set.from {
			if !want[c] {
				t.Errorf("%s: %s of %s is not published", name, c.code, c.system)
			}
		}
	}
	if compared < 12 {
		t.Errorf("only %d tables were compared", compared)
	}
}

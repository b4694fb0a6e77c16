package sigma_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"leitstand/pure/evtx"
	"leitstand/pure/sigma"
)

const detect = "../../../shared/data/detect/"

// ruleFiles unpacks the shared rules once.
var ruleFiles = sync.OnceValues(func() ([]sigma.File, error) {
	z, err := zip.OpenReader(detect + "sigmahq-rules.zip")
	if err != nil {
		return nil, err
	}
	defer func() { _ = z.Close() }() // read only
	var files []sigma.File
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".yml") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		files = append(files, sigma.File{Name: f.Name, Data: data})
	}
	return files, nil
})

func sharedRules(t testing.TB) []sigma.File {
	t.Helper()
	if _, err := os.Stat(detect); err != nil {
		t.Skip("suite left out: shared detection data is not here")
	}
	files, err := ruleFiles()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// compiled is the engine of the Windows rules, as the expected matches were made with.
var compiled = sync.OnceValues(func() (*sigma.Engine, *sigma.RuleSet) {
	files, err := ruleFiles()
	if err != nil {
		return nil, nil
	}
	set, _ := sigma.ParseRules(files)
	set.Rules = slices.DeleteFunc(set.Rules, func(r *sigma.Rule) bool { return r.Logsource.Product != "windows" })
	eng, _ := sigma.Compile(set, sigma.Options{})
	return eng, set
})

func windowsEngine(t testing.TB) (*sigma.Engine, *sigma.RuleSet) {
	t.Helper()
	sharedRules(t) // says what is missing
	return compiled()
}

// eachEvent calls f for every event of the shared event logs.
func eachEvent(t testing.TB, f func(file string, rec *evtx.Record)) {
	t.Helper()
	r := evtx.NewBytesReader(nil)
	err := filepath.WalkDir(detect, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".evtx") {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		r.Reset(bytes.NewReader(data), int64(len(data)))
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			f(strings.TrimPrefix(p, detect), rec)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fill makes the event of a record.
func fill(ev *sigma.Event, rec *evtx.Record) {
	ev.Reset()
	ev.Time = rec.Created
	for i := range rec.Fields {
		if f := &rec.Fields[i]; f.Null {
			ev.AddNull(f.Name)
		} else {
			ev.Add(f.Name, string(f.Text))
		}
	}
}

func expectedMatches(t testing.TB) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(detect + "expected-matches.tsv")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		want[s.Text()] = true
	}
	return want
}

// explained are matches beyond expected-matches.tsv, each with its reason. The
// reference evaluator neither strips blanks from field names, as the rules
// specification asks, nor has it a route for the log source dns-server.
var explained = map[string]string{
	"1321dc4e-a1fe-481d-a016-52c45f0c8b4f": "field NewValue is written \"New Value\" in the log",
	"cbe51394-cd93-4473-b555-edf0144952d9": "service dns-server is the channel DNS Server",
}

func TestMatchesAreTheExpectedOnes(t *testing.T) {
	eng, _ := windowsEngine(t)
	want := expectedMatches(t)
	m, ev := eng.NewMatcher(), eng.NewEvent()
	got := map[string]bool{}
	eachEvent(t, func(file string, rec *evtx.Record) {
		fill(ev, rec)
		id, _ := rec.Get("EventRecordID")
		for _, r := range m.Match(ev) {
			got[file+"\t"+id+"\t"+r.ID] = true
			if explained[r.ID] != "" {
				delete(got, file+"\t"+id+"\t"+r.ID)
			}
		}
	})
	for k := range want {
		if !got[k] {
			t.Errorf("missing: %s", k)
		}
	}
	for k := range got {
		if !want[k] {
			t.Errorf("extra: %s", k)
		}
	}
	t.Logf("%d matches, %d expected", len(got), len(want))
}

func TestEngineAgreesWithTheDefinition(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluating every rule by definition takes long")
	}
	eng, set := windowsEngine(t)
	m, ev := eng.NewMatcher(), eng.NewEvent()
	n, every := 0, 61
	if os.Getenv("LEITSTAND_LONG") != "" {
		every = 1
	}
	eachEvent(t, func(file string, rec *evtx.Record) {
		if n++; n%every != 0 {
			return
		}
		fill(ev, rec)
		got := map[string]bool{}
		for _, r := range m.Match(ev) {
			got[r.ID] = true
		}
		for _, r := range set.Rules {
			if want := m.Applies(r, ev) && r.Matches(ev); want != got[r.ID] {
				t.Errorf("%s record %d rule %s: engine says %v, definition %v", file, rec.ID, r.ID, got[r.ID], want)
			}
		}
	})
}

// The outside truth: for each of these event logs the rule it is named after
// must match, in the log and in the JSON that SigmaHQ made of it.
func TestEveryRegressionRuleMatchesItsEvents(t *testing.T) {
	set, _ := sigma.ParseRules(sharedRules(t))
	eng, _ := sigma.Compile(set, sigma.Options{})
	m, ev := eng.NewMatcher(), eng.NewEvent()
	logs, dumps := 0, 0
	err := filepath.WalkDir(detect+"sigma-regression", func(p string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(p)
		if err != nil || (ext != ".evtx" && ext != ".json" && ext != ".raw") {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		id := strings.TrimSuffix(filepath.Base(p), ext)
		found := false
		note := func() {
			for _, r := range m.Match(ev) {
				found = found || r.ID == id
			}
		}
		switch ext {
		case ".raw":
			logs++
			for line := range strings.Lines(string(data)) {
				ev.Reset()
				ev.DecodeText(line, 2026)
				note()
			}
		case ".evtx":
			logs++
			r := evtx.NewBytesReader(data)
			for rec, ok := r.Next(); ok; rec, ok = r.Next() {
				fill(ev, rec)
				note()
			}
		default:
			dumps++
			for dec := json.NewDecoder(bytes.NewReader(data)); ; {
				var raw json.RawMessage
				if err := dec.Decode(&raw); err != nil {
					break
				}
				ev.Reset()
				if err := ev.DecodeJSON(raw); err != nil {
					t.Errorf("%s: %v", p, err)
				}
				note()
			}
		}
		if !found {
			t.Errorf("%s: rule does not match", strings.TrimPrefix(p, detect))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d logs, %d JSON files", logs, dumps)
	if logs != 131 {
		t.Errorf("%d event logs, want 131", logs)
	}
}

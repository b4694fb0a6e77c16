package evtx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const detect = "../../../shared/data/detect/"

// evtxFiles returns all event logs below a folder of the shared data.
func evtxFiles(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	if _, err := os.Stat(detect + dir); err != nil {
		t.Skipf("suite left out: %s is not here", dir)
	}
	files := map[string][]byte{}
	err := filepath.WalkDir(detect+dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".evtx") {
			return err
		}
		b, err := os.ReadFile(p)
		files[p] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The regression data of SigmaHQ holds each event twice: as EVTX and as JSON
// made by another reader. Both must say the same.
func TestRegressionEventsReadAsPublished(t *testing.T) {
	compared := 0
	for name, data := range evtxFiles(t, "sigma-regression") {
		f, err := os.Open(strings.TrimSuffix(name, ".evtx") + ".json")
		if err != nil {
			continue
		}
		want := map[string][]string{}
		dec := json.NewDecoder(f)
		dec.UseNumber()
		for {
			var ev map[string]any
			if err := dec.Decode(&ev); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Logf("%s: %v", name, err)
				break
			}
			lines := flattenDump(ev)
			want[recordID(lines)] = lines
		}
		_ = f.Close() // read only
		r := NewBytesReader(data)
		got := map[string][]string{}
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			lines := flattenRecord(rec)
			got[recordID(lines)] = lines
		}
		for id, w := range want {
			compared++
			if d := cmp.Diff(w, got[id]); d != "" {
				t.Errorf("%s record %s (-published +read):\n%s", filepath.Base(name), id, d)
			}
		}
	}
	if compared < 130 {
		t.Errorf("compared %d events, want at least 130", compared)
	}
}

func recordID(lines []string) string {
	for _, l := range lines {
		if id, ok := strings.CutPrefix(l, "EventRecordID="); ok {
			return id
		}
	}
	return ""
}

// flattenDump gives "name=value" lines for what evtx_dump writes. It shows
// GUIDs without braces and times in microseconds.
func flattenDump(ev map[string]any) []string {
	var out []string
	event, _ := ev["Event"].(map[string]any)
	for part, v := range event {
		m, _ := v.(map[string]any)
		switch part {
		case "System", "EventData":
			out = append(out, flattenPart(m)...)
		case "UserData":
			for _, inner := range m {
				m, _ := inner.(map[string]any)
				out = append(out, flattenPart(m)...)
			}
		}
	}
	sort.Strings(out)
	return out
}

func flattenPart(m map[string]any) []string {
	var out []string
	for k, v := range m {
		k = strings.TrimSuffix(k, "_attributes")
		switch v := v.(type) {
		case map[string]any:
			attrs, _ := v["#attributes"].(map[string]any)
			if attrs == nil && k != "#attributes" {
				attrs = v
			}
			for a, x := range attrs {
				out = append(out, line(k+"_"+a, x)...)
			}
			if x, ok := v["#text"]; ok {
				out = append(out, line(k, x)...)
			}
		default:
			out = append(out, line(k, v)...)
		}
	}
	return out
}

func line(k string, v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var out []string
		for _, x := range v {
			out = append(out, line(k, x)...)
		}
		return out
	case string:
		if v = strings.TrimSpace(v); v == "" {
			return nil
		}
		return []string{k + "=" + v}
	}
	return []string{fmt.Sprintf("%s=%v", k, v)}
}

func flattenRecord(rec *Record) []string {
	var out []string
	for _, f := range rec.Fields {
		text := f.Text
		if f.Type == GUID {
			text = bytes.Trim(text, "{}")
		}
		if f.Type == FileTime && len(text) == 28 {
			text = append(bytes.Clone(text[:26]), 'Z')
		}
		// evtx_dump drops blanks at the end, and keeps the name of EventData elsewhere.
		name := strings.TrimPrefix(strings.TrimPrefix(f.Name, "EventData."), "UserData.")
		if text := strings.TrimSpace(string(text)); text != "" && f.Name != "EventData_Name" {
			out = append(out, name+"="+text)
		}
	}
	sort.Strings(out)
	return out
}

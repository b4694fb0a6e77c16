package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"
)

const needleRule = "title: T\nid: t1\nauthor: me\nlicense: MIT\nlevel: low\nlogsource: {product: linux}\ndetection: {s: [needle], condition: s}\n"

const needleLine = "Apr 26 03:00:00 h sshd[1]: needle\n"

func gzipped(t *testing.T, text string, times int) string {
	t.Helper()
	for range times {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		text = b.String()
	}
	return text
}

func zipOf(t *testing.T, files ...[2]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

func utf16(t *testing.T, text string) string {
	t.Helper()
	out, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWatchReadsWhatComesItsWay(t *testing.T) {
	packed := gzipped(t, strings.Repeat(needleLine, 5000), 1)
	for _, c := range []struct {
		name, file, text string
		code, matches    int
		says             string
	}{
		{"rotated", "app.log.1", needleLine, 1, 1, ""},
		{"rotated by date", "app.log-20230426", needleLine, 1, 1, ""},
		{"rotated and packed", "syslog.2.gz", gzipped(t, needleLine, 1), 1, 1, ""},
		{"packed twice", "a.log.gz.gz", gzipped(t, needleLine, 2), 1, 1, ""},
		{"packed without end", "a.log.gz", gzipped(t, needleLine, 5), 2, 0, "packed more than 3 times"},
		{"zstandard", "a.log.zst", zstandard(t, needleLine), 1, 1, ""},
		{"cut off while packed", "a.log.gz", packed[:len(packed)/2], 1, -1, "damaged records 1"},
		{"UTF-16 as PowerShell writes it", "a.json", utf16(t, "[\r\n{\"message\":\"needle\",\"product\":\"linux\"}\r\n]"), 1, 1, ""},
		{"binary junk", "junk.log", strings.Repeat("\x01\x02\x03abc\x80", 900), 2, 0, "neither EVTX, JSON nor text"},
		{"a few zero bytes after a power loss", "a.log", "\x00\x00\x00" + strings.Repeat("quiet\n", 100) + needleLine, 1, 1, ""},
		{"a huge line", "a.log", strings.Repeat("x", 3<<20) + " needle\n" + needleLine, 1, 1, "damaged records 1"},
		{"a huge object", "a.json", `{"message":"` + strings.Repeat("x", 17<<20) + "\"}\n{\"message\":\"needle\",\"product\":\"linux\"}", 1, 1, "a.json:1: no JSON object: larger than"},
		{"a zip with one bad log", "a.zip", zipOf(t, [2]string{"bad.json.gz", "\x1f\x8bxx"}, [2]string{"in.zip", "PK\x03\x04"}, [2]string{"good.log", needleLine}), 1, 1, "damaged records 2"},
		{"a zip with bad logs only", "a.zip", zipOf(t, [2]string{"bad.json.gz", "\x1f\x8bxx"}), 2, 0, "none of the logs in it can be read"},
		{"an empty file", "a.log", "", 0, 0, "events 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := writeFiles(t, map[string]string{"rule.yml": needleRule, "logs/" + c.file: c.text})
			for _, source := range []string{dir + "/logs/" + c.file, dir + "/logs"} {
				want := c.code
				if want == 2 && source == dir+"/logs" {
					want = 0 // the directory could be read
				}
				code, out, stderr := runWatch(t, "", "--rules", dir+"/rule.yml", source)
				if n := strings.Count(out, "\n"); code != want || c.matches >= 0 && n != c.matches || c.matches < 0 && n == 0 || !strings.Contains(stderr, c.says) {
					t.Errorf("%s: exit %d, want %d, %d matches, want %d:\n%s", source, code, want, n, c.matches, stderr)
				}
			}
		})
	}
}

func TestWatchNamesFilesAsGiven(t *testing.T) {
	dir := writeFiles(t, map[string]string{"rule.yml": needleRule, "logs/sub/a.log": needleLine})
	if err := os.Symlink(dir+"/logs", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for given, want := range map[string]string{
		"logs": "logs/sub/a.log", "logs/": "logs/sub/a.log", "./logs": "./logs/sub/a.log", "link": "link/sub/a.log",
		dir + "/logs": dir + "/logs/sub/a.log", "logs/sub/a.log": "logs/sub/a.log",
	} {
		_, out, stderr := runWatch(t, "", "--json", "--rules", "rule.yml", given)
		var m watchMatch
		if err := json.Unmarshal([]byte(out), &m); err != nil {
			t.Fatalf("%s: %v: %s%s", given, err, out, stderr)
		}
		if m.File != want || fmt.Sprint(m.Record) != "1" {
			t.Errorf("%s: file %q, record %v, want %q", given, m.File, m.Record, want)
		}
	}
}

func TestWatchSaysWhenADirectoryHoldsNoLogs(t *testing.T) {
	dir := writeFiles(t, map[string]string{"rule.yml": needleRule, "d/readme.txt": "x"})
	code, _, stderr := runWatch(t, "", "--rules", dir+"/rule.yml", dir+"/d")
	if code != 0 || !strings.Contains(stderr, "no file in it is a log by its name (1 others)") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestWatchReadsAPipeByItsName(t *testing.T) {
	dir := writeFiles(t, map[string]string{"rule.yml": needleRule})
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(pipe, []byte(needleLine), 0o600) }()
	code, out, stderr := runWatch(t, "", "--rules", dir+"/rule.yml", pipe)
	if err := <-wrote; err != nil || code != 1 || !strings.Contains(out, pipe+":1") {
		t.Errorf("exit %d (%v): %s%s", code, err, out, stderr)
	}
}

func TestWatchExplainsACorrelationByItsParts(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"rules.yml": sprayRules,
		"a.log": "2023-04-26T03:00:10Z g sshd[1]: Failed password for anna from 192.0.2.7 port 1 ssh2\n" +
			"2023-04-26T03:00:20Z g sshd[1]: Failed password for bert from 192.0.2.7 port 1 ssh2\n",
	})
	code, out, stderr := runWatch(t, "", "--rules", dir+"/rules.yml", "--explain", "spray", dir+"/a.log")
	if code != 0 || strings.Count(out, " matches: s") != 2 || !strings.Contains(stderr, "2 hits of its rules counted; came true 0 times") {
		t.Errorf("exit %d:\n%s%s", code, out, stderr)
	}
}

func TestWatchNamesWhatIsWrongWithRuleFiles(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a: &a [x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c < 'm'; c++ {
		fmt.Fprintf(&bomb, "%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", "))
	}
	const head = "title: A\nlogsource: {product: linux}\ndetection:\n"
	for name, c := range map[string]struct{ text, says string }{
		"bomb":  {bomb.String(), ":1: nested too deeply or unfolds too far"},
		"deep":  {head + "    s: " + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "\n    condition: s\n", ":4: not readable as YAML"},
		"cond":  {head + "    s: [a]\n    condition: " + strings.Repeat("(", 5000) + "s" + strings.Repeat(")", 5000) + "\n", ":5: condition is nested too deeply"},
		"tab":   {head + "\ts: [a]\n", ":4: not readable as YAML"},
		"twice": {head + "    s: {F: a}\n    s: {F: b}\n    condition: s\n", ":5: "},
		"self":  {"a: &a [*a]\n", ":1: "},
	} {
		dir := writeFiles(t, map[string]string{"r/good.yml": needleRule, "r/" + name + ".yml": c.text, "a.log": needleLine})
		code, _, stderr := runWatch(t, "", "--rules", dir+"/r", dir+"/a.log")
		if code != 1 || !strings.Contains(stderr, name+".yml"+c.says) {
			t.Errorf("%s: exit %d: %.400s", name, code, stderr)
		}
		if code, _, _ := runWatch(t, "", "--strict", "--rules", dir+"/r", dir+"/a.log"); code != 2 {
			t.Errorf("%s: exit %d with --strict", name, code)
		}
	}
	anchors := head + "    s: &words [needle]\n    t: *words\n    condition: s and t\n"
	dir := writeFiles(t, map[string]string{"r.yml": anchors, "a.log": needleLine})
	if code, _, stderr := runWatch(t, "", "--strict", "--rules", dir+"/r.yml", dir+"/a.log"); code != 1 {
		t.Errorf("anchors: exit %d: %s", code, stderr)
	}
}

func TestWatchBenchReadsPackedSources(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"rule.yml": watchRule, "d/a.json.gz": gzipped(t, flatEvent+"\n", 1), "d/b.zip": zipOf(t, [2]string{"in.json", flatEvent}), "d/text.log": needleLine,
		"d/broken.json": "{\"a\":tru}\n" + flatEvent,
	})
	code, out, stderr := runWatch(t, "", "bench", "--json", "--for", "10ms", "--rules", dir+"/rule.yml", dir+"/d")
	var got map[string]float64
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
		t.Fatalf("exit %d: %v: %s", code, err, stderr)
	}
	if d := cmp.Diff([]float64{3, 3}, []float64{got["events"], got["matches"]}); d != "" || !strings.Contains(stderr, "text.log left out") {
		t.Errorf("events and matches (-want +got):\n%s%s", d, stderr)
	}
}

// The outside truth through the program: each of SigmaHQ's event logs, and the
// JSON made of it, must be found by the rule it is named after.
func TestWatchFindsEveryRegressionRule(t *testing.T) {
	const detect = "../../../shared/data/detect/"
	if _, err := os.Stat(detect); err != nil {
		t.Skip("suite left out: shared detection data is not here")
	}
	code, out, stderr := runWatch(t, "", "regression", "--rules", detect+"sigmahq-rules.zip", detect+"sigma-regression")
	if code != 0 || !strings.Contains(stderr, "files 261, rules 131, failed 0\n") {
		t.Errorf("exit %d: %s%.300s", code, out, stderr[max(0, len(stderr)-300):])
	}
}

func TestWatchRegressionNamesRulesThatNoLongerMatch(t *testing.T) {
	const info = "regression_tests_info:\n  - {name: x, type: json, match_count: %d, path: some/where/11111111-2222-4333-8444-555555555555.json}\n"
	for name, c := range map[string]struct {
		files map[string]string
		code  int
		says  string
	}{
		"found":            {map[string]string{"11111111-2222-4333-8444-555555555555.json": flatEvent}, 0, ""},
		"no longer found":  {map[string]string{"11111111-2222-4333-8444-555555555555.json": `{"EventID":1}`}, 1, "0 matches in 1 events, want 1"},
		"found less often": {map[string]string{"11111111-2222-4333-8444-555555555555.json": flatEvent, "info.yml": fmt.Sprintf(info, 2)}, 1, "1 matches in 1 events, want 2"},
		"often enough":     {map[string]string{"11111111-2222-4333-8444-555555555555.json": flatEvent, "info.yml": fmt.Sprintf(info, 1)}, 0, ""},
		"rule is gone":     {map[string]string{"22222222-2222-4333-8444-555555555555.json": flatEvent}, 1, "no usable rule has this id"},
		"nothing to play":  {map[string]string{"readme.txt": "x"}, 2, ""},
	} {
		files := map[string]string{"rule.yml": watchRule}
		for f, text := range c.files {
			files["d/"+f] = text
		}
		dir := writeFiles(t, files)
		if code, out, stderr := runWatch(t, "", "regression", "--rules", dir+"/rule.yml", dir+"/d"); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, want %d: %s%s", name, code, c.code, out, stderr)
		}
	}
}

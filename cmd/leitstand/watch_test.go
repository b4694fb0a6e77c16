package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const watchRule = `title: Shadow copies deleted
id: 11111111-2222-4333-8444-555555555555
author: A, B
license: MIT
level: high
logsource:
    product: windows
    category: process_creation
detection:
    s:
        CommandLine|contains|all:
            - vssadmin
            - delete
    filter:
        User: backup
    condition: s and not filter
`

const sprayRules = `title: Failed
name: failed
logsource: {product: linux, service: sshd}
detection: {s: {outcome: failed}, condition: s}
---
title: Spraying
id: spray
level: critical
correlation:
    type: value_count
    rules: [failed]
    group-by: [src_ip]
    timespan: 5m
    condition: {field: user, gte: 3}
`

const flatEvent = `{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"UtcTime":"2023-04-26 01:02:03.004","CommandLine":"VSSADMIN.exe Delete shadows","User":"x"}`

func runWatch(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"watch"}, args...), strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWatchPrintsOneObjectPerMatch(t *testing.T) {
	dir := writeFiles(t, map[string]string{"r/rule.yml": watchRule, "log.json": "\n" + flatEvent + "\n" + strings.Replace(flatEvent, `"x"`, `"backup"`, 1) + "\n"})
	code, out, stderr := runWatch(t, "", "--json", "--rules", dir+"/r", dir+"/log.json")
	if code != 1 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := map[string]any{
		"file": dir + "/log.json", "record": 2.0, "time": "2023-04-26T01:02:03.004Z", "rule": "11111111-2222-4333-8444-555555555555",
		"title": "Shadow copies deleted", "level": "high", "author": "A, B", "license": "MIT",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if !strings.Contains(stderr, "events 2, matches 1, damaged records 0") {
		t.Errorf("statistics: %s", stderr)
	}
}

func TestWatchExitCodes(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"rule.yml": watchRule, "none.json": `{"EventID":1}`, "bad.yml": watchRule + "---\ntitle: B\nlogsource: {product: x}\ndetection: {s: {F|what: 1}, condition: s}\n",
		"hit.json": flatEvent, "binary": "\x00\x01\x02", "cut.json": flatEvent + "\n" + `{"a":`, "fake.evtx": "MZ",
	})
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"nothing matches", []string{"--rules", dir + "/rule.yml", dir + "/none.json"}, 0},
		{"something matches", []string{"--rules", dir + "/rule.yml", dir + "/hit.json"}, 1},
		{"a broken object costs itself only", []string{"--rules", dir + "/rule.yml", dir + "/cut.json"}, 1},
		{"no such source", []string{"--rules", dir + "/rule.yml", dir + "/hit.json", dir + "/nowhere"}, 2},
		{"no log at all", []string{"--rules", dir + "/rule.yml", dir + "/binary"}, 2},
		{"no event log at all", []string{"--rules", dir + "/rule.yml", dir + "/fake.evtx"}, 2},
		{"an unusable rule is named and left out", []string{"--rules", dir + "/bad.yml", dir + "/hit.json"}, 1},
		{"an unusable rule is an error when strict", []string{"--strict", "--rules", dir + "/bad.yml", dir + "/hit.json"}, 2},
		{"no rules", []string{"--rules", dir + "/nowhere", dir + "/hit.json"}, 2},
		{"built-in rules", []string{dir + "/none.json"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, out, stderr := runWatch(t, "", c.args...); code != c.want {
				t.Errorf("exit %d, want %d\n%s%s", code, c.want, out, stderr)
			}
		})
	}
	_, _, stderr := runWatch(t, "", "--rules", dir+"/bad.yml", dir+"/hit.json")
	if !strings.Contains(stderr, "bad.yml:20: ") || !strings.Contains(stderr, `"what"`) {
		t.Errorf("file, line and reason are missing: %s", stderr)
	}
}

func TestWatchReadsDirectoriesZipGzipAndStandardInput(t *testing.T) {
	var z, g bytes.Buffer
	zw := zip.NewWriter(&z)
	for _, n := range []string{"a/in.json", "a/notes.md"} {
		f, err := zw.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(flatEvent)); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	gw := gzip.NewWriter(&g)
	if _, err := gw.Write([]byte(flatEvent + "\n")); err != nil {
		t.Fatal(err)
	}
	if err := gw.Close(); err != nil {
		t.Fatal(err)
	}
	dir := writeFiles(t, map[string]string{
		"rule.yml": watchRule, "logs/1.jsonl": flatEvent, "logs/sub/2.json": "[\n" + flatEvent + ",\n" + flatEvent + "]",
		"logs/3.zip": z.String(), "logs/4.json.gz": g.String(), "logs/readme.txt": "x",
	})
	code, out, stderr := runWatch(t, flatEvent, "--json", "--rules", dir+"/rule.yml", dir+"/logs", "-")
	if code != 1 {
		t.Fatal(stderr)
	}
	var got []string
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		var m watchMatch
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		record, ok := m.Record.(float64)
		if !ok {
			t.Fatalf("record is %v", m.Record)
		}
		got = append(got, strings.TrimPrefix(m.File, dir+"/logs/")+" "+string(rune('0'+int(record))))
	}
	want := []string{"1.jsonl 1", "3.zip/a/in.json 1", "4.json.gz 1", "sub/2.json 2", "sub/2.json 3", "- 1"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if !strings.Contains(stderr, "other files passed over 2") {
		t.Errorf("what was not read is not counted: %s", stderr)
	}
}

func TestWatchExplains(t *testing.T) {
	dir := writeFiles(t, map[string]string{"rule.yml": watchRule, "log.json": strings.Replace(flatEvent, `"x"`, `"backup"`, 1) + "\n" + `{"Channel":"System","EventID":1}`})
	code, out, _ := runWatch(t, "", "--rules", dir+"/rule.yml", "--explain", "shadow copies deleted", dir+"/log.json")
	if code != 0 || strings.Count(out, "does not match") != 1 {
		t.Errorf("exit %d:\n%s", code, out)
	}
	for _, want := range []string{`+ s: CommandLine is "*vssadmin*" ["VSSADMIN.exe Delete shadows"]`, `+ filter: User is "backup" ["backup"]`} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

func TestWatchCorrelatesOverFilesInOrderOfTime(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"rules.yml": sprayRules,
		"a.log":     "2023-04-26T03:00:30Z h sshd[1]: Failed password for carl from 192.0.2.7 port 1 ssh2\n2023-04-26T03:20:00Z h sshd[1]: Failed password for dora from 192.0.2.7 port 1 ssh2\n",
		"b.log":     "2023-04-26T03:00:10Z g sshd[1]: Failed password for anna from 192.0.2.7 port 1 ssh2\n2023-04-26T03:00:20Z g sshd[1]: Failed password for invalid user bert from 192.0.2.7 port 1 ssh2\n",
	})
	code, out, stderr := runWatch(t, "", "--json", "--rules", dir+"/rules.yml", dir+"/a.log", dir+"/b.log")
	if code != 1 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var m watchMatch
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if m.Rule != "spray" || m.Group["src_ip"] != "192.0.2.7" || m.Count != 3 || len(m.Events) != 3 || m.File != dir+"/a.log" || m.Time != "2023-04-26T03:00:30Z" {
		t.Errorf("got %+v", m)
	}
}

func TestWatchCorrelatesAStreamAsItComes(t *testing.T) {
	dir := writeFiles(t, map[string]string{"rules.yml": sprayRules})
	var in strings.Builder
	for i, user := range []string{"anna", "bert", "carl"} {
		in.WriteString("2023-04-26T03:00:0" + string(rune('1'+i)) + "Z h sshd[1]: Failed password for " + user + " from 192.0.2.7 port 1 ssh2\n")
	}
	code, out, stderr := runWatch(t, in.String(), "--json", "--rules", dir+"/rules.yml", "-")
	if code != 1 || strings.Count(out, "\n") != 1 || !strings.Contains(out, `"rule":"spray"`) {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
}

func TestWatchCostNamesEveryRuleAsked(t *testing.T) {
	dir := writeFiles(t, map[string]string{"rule.yml": watchRule, "log.json": flatEvent})
	_, _, stderr := runWatch(t, "", "--cost", "--rules", dir+"/rule.yml", dir+"/log.json")
	if !strings.Contains(stderr, "1          1  11111111-2222-4333-8444-555555555555 Shadow copies deleted") {
		t.Errorf("got %s", stderr)
	}
}

func TestWatchMapReplacesTheRoutes(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"rule.yml": watchRule, "log.json": strings.Replace(flatEvent, "Microsoft-Windows-Sysmon/Operational", "Own", 1),
		"own.yml":      "services:\n  - {product: windows, service: sysmon, channels: [Own]}\ncategories:\n  - {product: windows, category: process_creation, service: sysmon, events: [1]}\n",
		"thor.yml":     "logsources:\n  p:\n    category: process_creation\n    product: windows\n    conditions: {EventID: 1}\n    rewrite: {product: windows, service: own}\n  o:\n    product: windows\n    service: own\n    sources: ['WinEventLog:Own']\n",
		"pipeline.yml": "name: p\ntransformations:\n  - type: field_name_mapping\n    mapping: {CommandLine: cmd}\n",
		"ecs.json":     strings.Replace(flatEvent, "CommandLine", "cmd", 1),
		"broken.yml":   "transformations:\n  - type: what\n",
	})
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{dir + "/log.json"}, 0},
		{[]string{"--map", dir + "/own.yml", dir + "/log.json"}, 1},
		{[]string{"--map", dir + "/thor.yml", dir + "/log.json"}, 1},
		{[]string{"--map", dir + "/pipeline.yml", dir + "/log.json"}, 0},
		{[]string{"--map", dir + "/pipeline.yml", dir + "/ecs.json"}, 1},
		{[]string{"--map", dir + "/broken.yml", dir + "/ecs.json"}, 2},
	} {
		if code, _, stderr := runWatch(t, "", append([]string{"--rules", dir + "/rule.yml"}, c.args...)...); code != c.want {
			t.Errorf("%v: exit %d, want %d: %s", c.args, code, c.want, stderr)
		}
	}
}

func TestWatchBenchPrintsTheFigures(t *testing.T) {
	dir := writeFiles(t, map[string]string{"rule.yml": watchRule, "log.json": flatEvent + "\n" + flatEvent})
	code, out, stderr := runWatch(t, "", "bench", "--json", "--for", "10ms", "--rules", dir+"/rule.yml", dir+"/log.json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var got map[string]float64
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"events", "matches", "events_per_second_per_core", "p99_us", "rss_mb", "load_seconds"} {
		if got[k] <= 0 {
			t.Errorf("%s is %v", k, got[k])
		}
	}
	for _, k := range []string{"evtx_mb_per_second", "evtx_records_per_second"} {
		if _, ok := got[k]; !ok {
			t.Errorf("%s is missing", k)
		}
	}
}

// The table of SigmaHQ's own checks, given as --map, must lead to the expected
// matches on event logs; ours finds those and the explained ones (docs/sigma.md).
func TestWatchFindsTheExpectedMatches(t *testing.T) {
	const detect = "../../../shared/data/detect/"
	data, err := os.ReadFile(detect + "expected-matches.tsv")
	if err != nil {
		t.Skip("suite left out: shared detection data is not here")
	}
	want := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "evtx-attack-samples/") {
			want[line] = true
		}
	}
	code, out, stderr := runWatch(t, "", "--json", "--map", detect+"thor-logsources.yml", "--rules", detect+"sigmahq-rules.zip", detect+"evtx-attack-samples")
	if code != 1 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	extra := 0
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		var m watchMatch
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		record, err := json.Marshal(m.Record)
		if err != nil {
			t.Fatal(err)
		}
		key := strings.TrimPrefix(m.File, detect) + "\t" + string(record) + "\t" + m.Rule
		if m.License != "DRL-1.1" || m.Author == "" || m.Time == "" {
			t.Errorf("licence, author or time is missing: %s", line)
		}
		if !want[key] && !strings.HasPrefix(m.Title, "Antivirus - ") { // the expected matches leave out rules without product
			extra++
			t.Errorf("not expected: %s %s", key, m.Title)
		}
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("%d missing, such as %v", len(want), want)
	}
}

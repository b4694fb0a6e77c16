package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"
)

// TestMain lets scripts and crash tests run this program as processes of their own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"leitstand": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}})
}

// TestScripts plays the scripts in testdata/script: what a person types, and
// what comes back.
func TestScripts(t *testing.T) {
	testscript.Run(t, scriptParams("testdata/script"))
}

// scriptParams is how scripts of a directory are played.
func scriptParams(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PGDSN", os.Getenv("PGDSN"))
			e.Setenv("TZ", "Europe/Berlin")
			e.Setenv("LANG", "C.UTF-8")
			doc, err := filepath.Abs("../../docs/ledger.md")
			e.Setenv("LEDGERDOC", doc)
			e.Setenv("SHAREDOC", filepath.Join(filepath.Dir(doc), "share.md"))
			if err != nil {
				return err
			}
			scenario, err := filepath.Abs("../../exercise/testdata/kurz.yml")
			e.Setenv("SCENARIO", scenario)
			return err
		},
		Condition: func(cond string) (bool, error) {
			if cond == "postgres" {
				return os.Getenv("PGDSN") != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"capture": capture, "sql": tamper, "fields": fields, "count": count, "refused": refused,
			"waitfor": waitFor, "snippet": snippet, "cleared": cleared,
			"sicknote": sickNote, "mailserver": mailServer, "photograph": photograph, "askfiles": askFiles,
			"regular": regularSystem, "items": takeItems,
			"eventually": eventually, "edit": edit, "postoffice": postOffice,
		},
	}
}

// capture VAR REGEXP keeps the first group that the last standard output matches.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture VAR REGEXP")
	}
	out := ts.ReadFile("stdout")
	m := regexp.MustCompile(args[1]).FindStringSubmatch(out)
	if len(m) < 2 {
		ts.Fatalf("%s matches nothing in %s", args[1], out)
	}
	ts.Setenv(args[0], m[1])
}

// tamper (sql FILE STATEMENT…) changes a store as somebody would who owns the disk.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sql FILE STATEMENT...")
	}
	d, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { ts.Check(d.Close()) }()
	for _, stmt := range args[1:] {
		res, err := d.Exec(stmt)
		ts.Check(err)
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			ts.Fatalf("%s changed nothing (%v)", stmt, err)
		}
	}
}

// fields NAME… checks that the last standard output is a JSON array, not empty,
// whose every element has these fields.
func fields(ts *testscript.TestScript, neg bool, args []string) {
	for i, v := range list(ts) {
		for _, name := range args {
			if _, ok := v[name]; ok == neg {
				ts.Fatalf("element %d, field %q: present is %v", i, name, ok)
			}
		}
	}
}

// count N checks the length of the JSON array on the last standard output.
func count(ts *testscript.TestScript, neg bool, args []string) {
	if got := fmt.Sprint(len(list(ts))); len(args) != 1 || (got == args[0]) == neg {
		ts.Fatalf("%s elements, want %v (not: %v)", got, args, neg)
	}
}

func list(ts *testscript.TestScript) []map[string]any {
	var out []map[string]any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &out); err != nil {
		ts.Fatalf("not a JSON array of objects: %v", err)
	}
	return out
}

// refused RULE ARG… runs leitstand and checks that a rule refuses the act: exit
// code 3 and the error object on standard output, nothing else.
func refused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: refused RULE ARG...")
	}
	cmd := exec.Command("leitstand", args[1:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), []string{"PATH=" + ts.Getenv("PATH"), "LEITSTAND_DATA=" + ts.Getenv("LEITSTAND_DATA"), "LEITSTAND_DB=" + ts.Getenv("LEITSTAND_DB"), "TZ=Europe/Berlin"}
	cmd.Path, cmd.Err = lookIn(ts.Getenv("PATH"), "leitstand"), nil
	out, err := cmd.Output()
	ts.Logf("%v: %s", err, out)
	var got struct {
		Error *struct {
			Rule int    `json:"rule"`
			Text string `json:"text"`
		} `json:"error"`
	}
	if jerr := json.Unmarshal(out, &got); jerr != nil || got.Error == nil || got.Error.Text == "" {
		ts.Fatalf("no error object: %v %s", jerr, out)
	}
	if code := cmd.ProcessState.ExitCode(); code != 3 || fmt.Sprint(got.Error.Rule) != args[0] {
		ts.Fatalf("exit code %d, rule %d: %s; want 3 and rule %s", code, got.Error.Rule, got.Error.Text, args[0])
	}
}

func lookIn(path, name string) string {
	for _, dir := range filepath.SplitList(path) {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name)
		}
	}
	return name
}

// waitfor FILE [TEXT] waits until a file is there, and holds a text: one that is
// still being written is there before what is in it.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for range 1200 {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		// A socket is there and cannot be read.
		if !errors.Is(err, fs.ErrNotExist) && (len(args) == 1 || strings.Contains(string(b), args[1])) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s does not appear", strings.Join(args, ": "))
}

// snippet DOC FILE writes the first Python block of a document to a file.
func snippet(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(args[0])
	ts.Check(err)
	_, code, ok := strings.Cut(string(b), "```python\n")
	code, _, closed := strings.Cut(code, "```")
	if !ok || !closed {
		ts.Fatalf("no Python in %s", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(code), 0o600))
}

// cleared SCOPE… has examiner and examiner2 grant clearances on befund.txt.
func cleared(ts *testscript.TestScript, _ bool, args []string) {
	for _, scope := range args {
		ts.Check(ts.Exec("leitstand", "clearance", "grant", scope, "--evidence", "befund.txt", "--reason", "geprüft", "--as", "examiner"))
		capture(ts, false, []string{"C", `leitstand approve (c-\S+)`})
		ts.Check(ts.Exec("leitstand", "approve", ts.Getenv("C"), "--as", "examiner2"))
	}
}

// TestEveryCommandHasHelp asks each command for help: exit code 0, a usage line,
// and words for the command and each of its flags.
func TestEveryCommandHasHelp(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("leitstand"))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, leaf := range parser.Model.Leaves(false) {
		commands++
		args := append(strings.Fields(leaf.Path()), "--help")
		for i, a := range args { // arguments are no words of the command
			if strings.HasPrefix(a, "<") || strings.HasPrefix(a, "[") {
				args = append(args[:i:i], "--help")
				break
			}
		}
		var out, errs strings.Builder
		if code := run(t.Context(), args, strings.NewReader(""), &out, &errs); code != 0 || !strings.Contains(out.String(), "Usage: leitstand") {
			t.Errorf("leitstand %s: exit code %d\n%s%s", strings.Join(args, " "), code, out.String(), errs.String())
		}
		if leaf.Help == "" && !leaf.Hidden {
			t.Errorf("%s has no help", leaf.Path())
		}
		for _, f := range leaf.Flags {
			if f.Help == "" {
				t.Errorf("%s --%s has no help", leaf.Path(), f.Name)
			}
		}
	}
	if commands < 40 {
		t.Errorf("only %d commands were asked", commands)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tinySM is a project of four jobs between source and sink on one resource; its
// shortest plan is 8 long, its critical path 5.
const tinySM = `projects                      :  1
jobs (incl. supersource/sink ):  6
horizon                       :  11
RESOURCES
  - renewable                 :  1   R
  - nonrenewable              :  0   N
  - doubly constrained        :  0   D
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          3           2   3   4
   2        1          1           5
   3        1          1           6
   4        1          1           6
   5        1          1           6
   6        1          0
REQUESTS/DURATIONS:
jobnr. mode duration  R 1
------------------------------------------------------------------------
  1      1     0       0
  2      1     3       2
  3      1     3       2
  4      1     3       1
  5      1     2       2
  6      1     0       0
RESOURCEAVAILABILITIES:
  R 1
    3
`

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// leitstand runs the program and returns its exit code and what it wrote.
func leitstand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestPlanPsplibPrintsOneObjectPerInstance(t *testing.T) {
	dir := t.TempDir()
	set := filepath.Join(dir, "toy")
	if err := os.Mkdir(set, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "toyopt.sm", "Par Inst Makespan\n1 1 8\n10 1 7\n")
	write(t, dir, "toylb.sm", "Par Inst LB UB\n1 1 7 8\n") // bounds, no instance
	write(t, dir, "readme.txt", "The toy set.\n")
	write(t, set, "Toy10_1.SM", tinySM)
	write(t, set, "toy1_1.sm", tinySM)
	write(t, set, "toy2_1.sm", tinySM)
	code, stdout, stderr := leitstand(t, "plan", "psplib", dir, "--json", "--schedules", "50")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	var got []psplibResult
	for dec := json.NewDecoder(strings.NewReader(stdout)); dec.More(); {
		var r psplibResult
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		r.Seconds = 0
		if len(r.Starts) != 6 || r.Starts[5] != r.Makespan || r.Schedules < 1 || r.Schedules > 50 {
			t.Errorf("%+v", r)
		}
		r.Starts, r.Schedules, r.File = nil, 0, filepath.Base(r.File)
		got = append(got, r)
	}
	eight, seven := 8, 7
	want := []psplibResult{
		{File: "toy1_1.sm", Makespan: 8, CPM: 5, BestKnown: &eight, FIFO: 8, Bound: 7},
		{File: "toy2_1.sm", Makespan: 8, CPM: 5, FIFO: 8, Bound: 7},
		{File: "Toy10_1.SM", Makespan: 8, CPM: 5, BestKnown: &seven, FIFO: 8, Bound: 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPlanPsplibNamesBadFilesAndGoesOn(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "a1_1.sm", tinySM)
	bad := write(t, dir, "b1_1.sm", strings.Replace(tinySM, "   3        1          1           6", "   3        1          1           9", 1))
	code, stdout, stderr := leitstand(t, "plan", "psplib", bad, filepath.Join(dir, "absent.sm"), good)
	if code != 2 {
		t.Errorf("exit %d, want 2", code)
	}
	if !strings.Contains(stderr, "b1_1.sm: line 12: job 9 cannot be a successor of job 3") || !strings.Contains(stderr, "absent.sm") {
		t.Errorf("standard error: %s", stderr)
	}
	if !strings.Contains(stdout, "a1_1.sm") || !strings.Contains(stdout, "1 instances, on average 60.000 % above the critical path") {
		t.Errorf("standard output: %s", stdout)
	}
	if code, _, stderr := leitstand(t, "plan", "psplib", good, "--seconds", "1", "--schedules", "5"); code != 2 || !strings.Contains(stderr, "can't be used together") {
		t.Errorf("both budgets: exit %d, %s", code, stderr)
	}
}

func TestPlanPsplibWithSecondsAndProgress(t *testing.T) {
	good := write(t, t.TempDir(), "a1_1.sm", tinySM)
	code, stdout, stderr := leitstand(t, "plan", "psplib", good, "--seconds", "0.05", "--progress")
	if code != 0 || !strings.Contains(stderr, "1/1 a1_1.sm") || !strings.Contains(stdout, "a1_1.sm") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
}

func TestPlanPsplibOnSharedData(t *testing.T) {
	file := "../../../shared/data/psplib/j30/j301_1.sm"
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		t.Skip("suite left out: no PSPLIB data beside the repository")
	}
	code, stdout, stderr := leitstand(t, "plan", "psplib", file, "--json")
	var r psplibResult
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 {
		t.Fatalf("exit %d, %v, %s", code, err, stderr)
	}
	if r.BestKnown == nil || *r.BestKnown != 43 || r.Makespan != 43 || r.CPM != 38 || len(r.Starts) != 32 {
		t.Errorf("%+v", r)
	}
}

package schedule

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const psplibDir = "../../../shared/data/psplib"

// writePSPLIB writes a problem of the textbook form as PSPLIB does.
func writePSPLIB(p *Problem) []byte {
	var b bytes.Buffer
	stars := strings.Repeat("*", 72)
	fmt.Fprintf(&b, "%s\nfile with basedata            : own.bas\ninitial value random generator: 1\n%s\n", stars, stars)
	fmt.Fprintf(&b, "projects                      :  1\njobs (incl. supersource/sink ):  %d\nhorizon                       :  99\nRESOURCES\n", len(p.Tasks))
	fmt.Fprintf(&b, "  - renewable                 :  %d   R\n  - nonrenewable              :  0   N\n  - doubly constrained        :  0   D\n%s\n", len(p.Resources), stars)
	fmt.Fprintf(&b, "PROJECT INFORMATION:\npronr.  #jobs rel.date duedate tardcost  MPM-Time\n    1     %d      0        0        0        0\n%s\n", len(p.Tasks)-2, stars)
	fmt.Fprint(&b, "PRECEDENCE RELATIONS:\njobnr.    #modes  #successors   successors\n")
	for i := range p.Tasks {
		var next []string
		for _, l := range p.Links {
			if l.From == i {
				next = append(next, fmt.Sprintf("%4d", l.To+1))
			}
		}
		fmt.Fprintf(&b, "%4d%9d%11d        %s\n", i+1, len(p.Tasks[i].Modes), len(next), strings.Join(next, ""))
	}
	fmt.Fprintf(&b, "%s\nREQUESTS/DURATIONS:\njobnr. mode duration  R 1\n%s\n", stars, strings.Repeat("-", 72))
	for i := range p.Tasks {
		for k, m := range p.Tasks[i].Modes {
			if k == 0 {
				fmt.Fprintf(&b, "%3d", i+1)
			}
			fmt.Fprintf(&b, "\t%d\t%d", k+1, m.Duration)
			amount := make([]int, len(p.Resources))
			for _, need := range m.Needs {
				amount[need.Resource] = need.Amount
			}
			for _, a := range amount {
				fmt.Fprintf(&b, "\t%d", a)
			}
			b.WriteByte('\n')
		}
	}
	fmt.Fprintf(&b, "%s\nRESOURCEAVAILABILITIES:\n  R 1\n", stars)
	for k := range p.Resources {
		fmt.Fprintf(&b, "%5d", p.Resources[k].Capacity[0].Capacity)
	}
	fmt.Fprintf(&b, "\n%s\n", stars)
	return b.Bytes()
}

// textbook draws a problem that PSPLIB can hold.
func textbook(n int, modes int, number func(int) int) *Problem {
	p := &Problem{}
	for k := range 1 + number(lanes) {
		p.Resources = append(p.Resources, Resource{ID: fmt.Sprintf("R%d", k+1), Capacity: Always(4 + number(8))})
	}
	for i := range n {
		t := Task{ID: fmt.Sprint(i + 1)}
		for k := range 1 + number(modes) {
			m := Mode{ID: fmt.Sprint(k + 1)}
			if i > 0 && i < n-1 {
				m.Duration = 1 + number(9)
				for r := range p.Resources {
					if a := number(5); a > 0 {
						m.Needs = append(m.Needs, Need{r, a})
					}
				}
			}
			t.Modes = append(t.Modes, m)
		}
		p.Tasks = append(p.Tasks, t)
		for from := max(0, i-5); from < i; from++ {
			if from == i-1 && number(2) == 0 || number(4) == 0 || i == n-1 {
				p.Links = append(p.Links, Link{From: from, To: i})
			}
		}
	}
	return p
}

func TestPSPLIBReadsWhatIsWritten(t *testing.T) {
	r := newRNG(7)
	for range 20 {
		want := textbook(12, 3, func(n int) int { return int(r.below(int32(max(1, n)))) })
		got, err := ReadPSPLIB(bytes.NewReader(writePSPLIB(want)))
		if err != nil {
			t.Fatal(err)
		}
		// The file groups links by their first task.
		links := []Link(nil)
		for i := range want.Tasks {
			for _, l := range want.Links {
				if l.From == i {
					links = append(links, l)
				}
			}
		}
		want.Links = links
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
	}
}

func TestPSPLIBNamesTheBadLine(t *testing.T) {
	r := newRNG(1)
	good := string(writePSPLIB(textbook(6, 1, func(n int) int { return int(r.below(int32(max(1, n)))) })))
	for name, c := range map[string]struct{ old, new, want string }{
		"empty":              {good, "", "file ends"},
		"no jobs":            {"jobs (incl. supersource/sink ):  6", "jobs (incl. supersource/sink ):  0", "line 6"},
		"too many jobs":      {"jobs (incl. supersource/sink ):  6", "jobs (incl. supersource/sink ):  999999999", "line 6"},
		"jobs in words":      {"jobs (incl. supersource/sink ):  6", "jobs (incl. supersource/sink ):  six", `"six"`},
		"more jobs promised": {"jobs (incl. supersource/sink ):  6", "jobs (incl. supersource/sink ):  7", "at least 3 expected"},
		"used-up resources":  {"- nonrenewable              :  0", "- nonrenewable              :  2", "used up"},
		"two projects":       {"projects                      :  1", "projects                      :  2", "from 1 to 1"},
		"no requests":        {"REQUESTS/DURATIONS:", "REQUESTS", "before precedence relations, requests"},
		"negative":           {"   1        1", "   1       -1", "line 19"},
		"binary":             {"PRECEDENCE RELATIONS:", "\x00\xff", "before the precedence"},
		"a very long line":   {"PRECEDENCE RELATIONS:", strings.Repeat("x", 2<<20), "line too long"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Errorf("%s: the change changes nothing", name)
		}
		_, err := ReadPSPLIB(strings.NewReader(text))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want a line and %q", name, err, c.want)
		}
	}
}

func FuzzReadPSPLIB(f *testing.F) {
	for seed := range uint64(4) {
		r := newRNG(seed)
		f.Add(writePSPLIB(textbook(5+int(seed), 1+int(seed)%2, func(n int) int { return int(r.below(int32(max(1, n)))) })))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadPSPLIB(bytes.NewReader(data))
		if err != nil {
			if _, ok := errors.AsType[*SyntaxError](err); !ok {
				t.Fatalf("not a syntax error: %v", err)
			}
			return
		}
		if len(p.Tasks) > 50 || p.slots() > 5000 {
			return
		}
		r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 20})
		if err != nil && !errors.Is(err, ErrNoRoom) {
			t.Fatal(err)
		}
		if err == nil && r.Plan.Makespan < r.Critical {
			t.Fatalf("makespan %d below the critical path %d", r.Plan.Makespan, r.Critical)
		}
	})
}

func FuzzReadReferences(f *testing.F) {
	f.Add([]byte("Par\tInst\tMakespan\n1\t1\t77\tsome day\n1\t3\t68\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		best, err := ReadReferences(bytes.NewReader(data))
		if err == nil && len(best) == 0 {
			t.Fatal("an empty table without an error")
		}
	})
}

// instance reads one instance of the shared data, or leaves the suite out.
func instance(t testing.TB, set, name string) *Problem {
	t.Helper()
	f, err := os.Open(filepath.Join(psplibDir, set, name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("suite left out: no PSPLIB instances at %s", psplibDir)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := ReadPSPLIB(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

var psplibSets = []struct {
	set, table string
	cells      int
	// Limits in percent: above the best known value for 5,000 schedules over the
	// ten instances of the normal run, and over the whole set for 5,000 and 50,000
	// above the optimum (j30) or the critical path (j60, j120).
	sample, at5000, at50000 float64
}{
	{"j30", "j30opt.sm", 48, 0.3, 0.2, 0.05},
	{"j60", "j60hrs.sm", 48, 1.0, 11.4, 11.0},
	{"j120", "j120hrs.sm", 60, 3.0, 34.0, 32.0},
}

func references(t testing.TB, table string) map[Key]int {
	t.Helper()
	f, err := os.Open(filepath.Join(psplibDir, table))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("suite left out: no PSPLIB tables at %s", psplibDir)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	best, err := ReadReferences(f)
	if err != nil {
		t.Fatal(err)
	}
	return best
}

// outcome sums up how a set of instances was solved.
type outcome struct {
	n, infeasible      int
	aboveBest, aboveCP float64
}

func (o *outcome) solve(t *testing.T, set string, k Key, best int, schedules int64) {
	t.Helper()
	p := instance(t, set, fmt.Sprintf("%s%d_%d.sm", set, k.Parameter, k.Instance))
	r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: schedules, Seed: 1})
	if err != nil {
		t.Fatalf("%s %v: %v", set, k, err)
	}
	if broken, err := Check(p, r.Plan.Start, r.Plan.Mode); err != nil || len(broken) > 0 {
		t.Errorf("%s %v: %v %v", set, k, broken, err)
		o.infeasible++
	}
	if r.Schedules > schedules {
		t.Errorf("%s %v: %d schedules built, %d allowed", set, k, r.Schedules, schedules)
	}
	if set == "j30" && r.Plan.Makespan < best {
		t.Errorf("%s %v: makespan %d is below the proven optimum %d", set, k, r.Plan.Makespan, best)
	}
	o.n++
	o.aboveBest += 100 * float64(r.Plan.Makespan-best) / float64(best)
	o.aboveCP += 100 * float64(r.Plan.Makespan-r.Critical) / float64(r.Critical)
}

func TestPSPLIBSampleWith5000Schedules(t *testing.T) {
	for _, s := range psplibSets {
		t.Run(s.set, func(t *testing.T) {
			best := references(t, s.table)
			var o outcome
			for k := range 10 {
				key := Key{1 + k*s.cells/10 + k%2, 1 + 2*(k%5)}
				o.solve(t, s.set, key, best[key], 5000)
			}
			t.Logf("%d instances: %.3f %% above the best known, %.3f %% above the critical path", o.n, o.aboveBest/10, o.aboveCP/10)
			if o.aboveBest/10 > s.sample {
				t.Errorf("%.3f %% above the best known, at most %.1f %% wanted", o.aboveBest/10, s.sample)
			}
		})
	}
}

func TestPSPLIBFull(t *testing.T) {
	if os.Getenv("LEITSTAND_LONG") == "" {
		t.Skip("LEITSTAND_LONG not set: the full PSPLIB sets take minutes")
	}
	for _, s := range psplibSets {
		for _, run := range []struct {
			schedules int64
			limit     float64
		}{{5000, s.at5000}, {50000, s.at50000}} {
			t.Run(fmt.Sprintf("%s with %d", s.set, run.schedules), func(t *testing.T) {
				best := references(t, s.table)
				var o outcome
				for parameter := 1; parameter <= s.cells; parameter++ {
					for number := 1; number <= 9; number += 2 {
						key := Key{parameter, number}
						o.solve(t, s.set, key, best[key], run.schedules)
					}
				}
				n := float64(o.n)
				t.Logf("%d instances: %.3f %% above the best known, %.3f %% above the critical path, %d infeasible", o.n, o.aboveBest/n, o.aboveCP/n, o.infeasible)
				got := o.aboveCP / n
				if s.set == "j30" {
					got = o.aboveBest / n
				}
				if got > run.limit {
					t.Errorf("%.3f %%, at most %.2f %% wanted", got, run.limit)
				}
			})
		}
	}
}

// BenchmarkSchedules is how fast schedules are built for one instance of each set.
func BenchmarkSchedules(b *testing.B) {
	for _, set := range []string{"j30", "j60", "j120"} {
		b.Run(set, func(b *testing.B) {
			c, ok := newClassic(instance(b, set, set+"13_1.sm"))
			if !ok {
				b.Fatal("not of the textbook form")
			}
			h := newHerd(b.Context(), c, 1, func([]int32, int32) {})
			h.limit(func() int64 { return 1 << 40 })
			h.found(50)
			built := h.d.built
			b.ReportAllocs()
			for b.Loop() {
				h.breed(0, 7)
			}
			b.ReportMetric(float64(h.d.built-built)/b.Elapsed().Seconds(), "schedules/s")
		})
	}
}

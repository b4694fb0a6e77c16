package schedule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// SyntaxError says where a PSPLIB file is not one.
type SyntaxError struct {
	Line int
	Msg  string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

const maxPSPLIB = 16 << 20 // bytes; the largest published file has 40 KB

// ReadPSPLIB reads a project in the format of the PSPLIB sets (Kolisch, Sprecher
// 1997: .sm, and .mm as far as all resources are renewable). Tasks keep the order
// of the file, source and sink included. What is wrong with the file is a
// *SyntaxError with its line.
func ReadPSPLIB(r io.Reader) (*Problem, error) {
	f := &psplibFile{in: bufio.NewScanner(io.LimitReader(r, maxPSPLIB))}
	f.in.Buffer(make([]byte, 4096), 1<<20)
	p, err := f.read()
	if err != nil {
		if scan := f.in.Err(); scan != nil && !errors.Is(scan, bufio.ErrTooLong) {
			return nil, fmt.Errorf("line %d: %w", f.line, scan)
		} else if scan != nil {
			return nil, f.wrong("line too long")
		}
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, f.wrong("%v", err)
	}
	return p, nil
}

type psplibFile struct {
	in       *bufio.Scanner
	line     int
	text     string
	jobs     int
	kinds    int // renewable resources
	problem  Problem
	modes    []int // modes that the precedence part announces
	sections int
}

func (f *psplibFile) wrong(format string, args ...any) error {
	return &SyntaxError{f.line, fmt.Sprintf(format, args...)}
}

// next goes to the next line that is not blank; it says false at the end.
func (f *psplibFile) next() bool {
	for f.in.Scan() {
		f.line++
		f.text = strings.TrimSpace(f.in.Text())
		if f.text != "" {
			return true
		}
	}
	return false
}

func (f *psplibFile) read() (*Problem, error) {
	for f.next() {
		var err error
		switch word, _, _ := strings.Cut(f.text, ":"); {
		case strings.HasPrefix(word, "jobs"):
			f.jobs, err = f.headerNumber(2, MaxTasks)
			f.problem.Tasks = make([]Task, f.jobs)
			f.modes = make([]int, f.jobs)
		case strings.HasPrefix(word, "- renewable"):
			f.kinds, err = f.headerNumber(0, MaxResources)
			f.problem.Resources = make([]Resource, f.kinds)
		case strings.HasPrefix(word, "- nonrenewable"), strings.HasPrefix(word, "- doubly constrained"):
			var n int
			if n, err = f.headerNumber(0, MaxResources); err == nil && n > 0 {
				err = f.wrong("resources that are used up are not part of this model")
			}
		case strings.HasPrefix(word, "projects"):
			_, err = f.headerNumber(1, 1)
		case word == "PRECEDENCE RELATIONS":
			err = f.precedence()
		case word == "REQUESTS/DURATIONS":
			err = f.requests()
		case word == "RESOURCEAVAILABILITIES", word == "RESOURCE AVAILABILITIES":
			err = f.availabilities()
		}
		if err != nil {
			return nil, err
		}
	}
	if f.in.Err() != nil {
		return nil, f.in.Err()
	}
	if f.sections != 7 {
		return nil, f.wrong("the file ends before precedence relations, requests and availabilities were all given")
	}
	return &f.problem, nil
}

// headerNumber reads the number after the colon.
func (f *psplibFile) headerNumber(least, most int) (int, error) {
	if f.sections != 0 {
		return 0, f.wrong("%q belongs before the first section", f.text)
	}
	_, after, ok := strings.Cut(f.text, ":")
	fields := strings.Fields(after)
	if !ok || len(fields) == 0 {
		return 0, f.wrong("no number after the colon")
	}
	v, err := strconv.Atoi(fields[0])
	if err != nil || v < least || v > most {
		return 0, f.wrong("%q is not a number from %d to %d", fields[0], least, most)
	}
	return v, nil
}

// begin opens a section: it needs the header, comes once, and its column titles are skipped.
func (f *psplibFile) begin(bit int) error {
	if f.jobs == 0 {
		return f.wrong("section before the number of jobs")
	}
	if f.sections&bit != 0 {
		return f.wrong("section given twice")
	}
	if bit > 1 && f.sections&1 == 0 {
		return f.wrong("section before the precedence relations")
	}
	f.sections |= bit
	if !f.next() {
		return f.wrong("section without lines")
	}
	return nil
}

// numbers splits the current line into numbers, at least as many as named.
func (f *psplibFile) numbers(least int) ([]int, error) {
	fields := strings.Fields(f.text)
	if len(fields) < least {
		return nil, f.wrong("%d numbers, at least %d expected", len(fields), least)
	}
	out := make([]int, len(fields))
	for i, s := range fields {
		v, err := strconv.Atoi(s)
		if err != nil || v < 0 || v > maxCapacity {
			return nil, f.wrong("%q is not a number from 0 to %d", s, maxCapacity)
		}
		out[i] = v
	}
	return out, nil
}

func (f *psplibFile) precedence() error {
	if err := f.begin(1); err != nil {
		return err
	}
	for want := 1; want <= f.jobs; want++ {
		if !f.next() {
			return f.wrong("job %d expected, but the file ends", want)
		}
		v, err := f.numbers(3)
		if err != nil {
			return err
		}
		if v[0] != want {
			return f.wrong("job %d expected, not %d", want, v[0])
		}
		if v[1] < 1 || v[1] > 1000 {
			return f.wrong("job %d with %d modes", want, v[1])
		}
		f.modes[want-1] = v[1]
		if len(v)-3 != v[2] {
			return f.wrong("job %d announces %d successors and names %d", want, v[2], len(v)-3)
		}
		for _, to := range v[3:] {
			if to < 1 || to > f.jobs || to == want {
				return f.wrong("job %d cannot be a successor of job %d", to, want)
			}
			f.problem.Links = append(f.problem.Links, Link{From: want - 1, To: to - 1})
		}
		f.problem.Tasks[want-1].ID = strconv.Itoa(want)
	}
	return nil
}

func (f *psplibFile) requests() error {
	if err := f.begin(2); err != nil {
		return err
	}
	for job := range f.jobs {
		t := &f.problem.Tasks[job]
		for mode := range f.modes[job] {
			if !f.next() {
				return f.wrong("job %d expected, but the file ends", job+1)
			}
			if mode == 0 && strings.HasPrefix(f.text, "---") && !f.next() {
				return f.wrong("job %d expected, but the file ends", job+1)
			}
			v, err := f.numbers(2)
			if err != nil {
				return err
			}
			if mode == 0 {
				if v[0] != job+1 {
					return f.wrong("job %d expected, not %d", job+1, v[0])
				}
				v = v[1:]
			}
			if len(v) != 2+f.kinds || v[0] != mode+1 {
				return f.wrong("job %d: mode %d, duration and %d requests expected", job+1, mode+1, f.kinds)
			}
			m := Mode{ID: strconv.Itoa(v[0]), Duration: v[1]}
			for k, amount := range v[2:] {
				if amount > 0 {
					m.Needs = append(m.Needs, Need{k, amount})
				}
			}
			t.Modes = append(t.Modes, m)
		}
	}
	return nil
}

func (f *psplibFile) availabilities() error {
	if err := f.begin(4); err != nil {
		return err
	}
	if f.kinds == 0 {
		return nil
	}
	if !f.next() {
		return f.wrong("availabilities expected, but the file ends")
	}
	v, err := f.numbers(f.kinds)
	if err != nil {
		return err
	}
	if len(v) != f.kinds {
		return f.wrong("%d availabilities for %d resources", len(v), f.kinds)
	}
	for k, capacity := range v {
		f.problem.Resources[k] = Resource{ID: "R" + strconv.Itoa(k+1), Capacity: Always(capacity)}
	}
	return nil
}

// Key names an instance of a PSPLIB set: its parameter cell and its number there.
type Key struct{ Parameter, Instance int }

var psplibRow = regexp.MustCompile(`^\s*(\d{1,6})\s+(\d{1,6})\s+(\d{1,9})(?:\s|$)`)

// ReadReferences reads the best known (or optimal) makespans of a PSPLIB set from
// one of the tables that come with it (j30opt.sm, j60hrs.sm, j120hrs.sm). Lines
// that do not begin with three numbers are headings.
func ReadReferences(r io.Reader) (map[Key]int, error) {
	in := bufio.NewScanner(io.LimitReader(r, maxPSPLIB))
	best := map[Key]int{}
	for line := 1; in.Scan(); line++ {
		m := psplibRow.FindStringSubmatch(in.Text())
		if m == nil {
			continue
		}
		var v [3]int
		for i := range v {
			var err error
			if v[i], err = strconv.Atoi(m[i+1]); err != nil {
				return nil, &SyntaxError{line, err.Error()}
			}
		}
		if old, twice := best[Key{v[0], v[1]}]; twice && old != v[2] {
			return nil, &SyntaxError{line, fmt.Sprintf("parameter %d instance %d given twice, %d and %d", v[0], v[1], old, v[2])}
		}
		best[Key{v[0], v[1]}] = v[2]
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("reading the table: %w", err)
	}
	if len(best) == 0 {
		return nil, &SyntaxError{1, "no line with parameter, instance and makespan"}
	}
	return best, nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"leitstand/pure/schedule"
)

type planCmd struct {
	planRoomCmds
	Order  planOrderCmd `cmd:"" help:"In which order placements and components return, and why."`
	Psplib psplibCmd    `cmd:"" help:"Solve project scheduling problems of the PSPLIB sets and say how good the plans are. Exits with 2 if a file could not be read."`
}

type psplibCmd struct {
	Paths     []string `arg:"" name:"file-or-dir" help:"Instances (.sm); directories are searched for them."`
	Seconds   float64  `xor:"budget" placeholder:"S" help:"Search this long for each instance, on all processors."`
	Schedules int64    `xor:"budget" placeholder:"N" help:"Build this many schedules for each instance (5000 unless --seconds is given). The result then depends on the seed alone."`
	Seed      uint64   `default:"1" help:"Seed of the search."`
	JSON      bool     `name:"json" help:"One JSON object for each instance, a line each, instead of a table."`
	Progress  bool     `help:"Show progress on standard error even if that is no terminal."`
}

const defaultSchedules = 5000

// psplibResult is what is printed for one instance. Starts are in the order of the
// file, source and sink included, from 0 in the file's unit, so that anyone can
// check them.
type psplibResult struct {
	File      string  `json:"file"`
	Makespan  int     `json:"makespan"`
	CPM       int     `json:"cpm"`
	BestKnown *int    `json:"best_known,omitempty"`
	FIFO      int     `json:"fifo"`
	Bound     int     `json:"bound"`
	Seconds   float64 `json:"seconds"`
	Schedules int64   `json:"schedules"`
	Starts    []int   `json:"starts"`
}

// psplibJob is one instance on its way through the solver; done is closed when
// result or err are set.
type psplibJob struct {
	file   string
	best   *int
	result psplibResult
	err    error
	done   chan struct{}
}

// Run solves every instance and prints what it found in the order of the
// arguments. What cannot be read is named, and the others go on.
func (c *psplibCmd) Run(a *app) error {
	if c.Seconds < 0 || c.Schedules < 0 || c.Seconds > 1e6 {
		return &exitError{2, errors.New("--seconds and --schedules must be positive")}
	}
	if c.Seconds == 0 && c.Schedules == 0 {
		c.Schedules = defaultSchedules
	}
	bad := 0
	complain := func(err error) {
		bad++
		fmt.Fprintf(a.stderr, "leitstand: %v\n", err)
	}
	files := instanceFiles(c.Paths, complain)
	jobs, tables := make([]*psplibJob, len(files)), referenceTables{}
	for k, file := range files {
		jobs[k] = &psplibJob{file: file, best: tables.lookUp(file, complain), done: make(chan struct{})}
	}
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	go c.solveAll(ctx, jobs)
	out, note := newPsplibPrinter(a.stdout, c.JSON), progressTo(a.stderr, c.Progress, len(jobs))
	for k, job := range jobs {
		note(k, job.file)
		<-job.done
		switch {
		case a.ctx.Err() != nil:
			note(len(jobs), "")
			return errors.Join(out.close(), fmt.Errorf("interrupted after %d of %d instances", k, len(jobs)))
		case job.err != nil:
			complain(job.err)
		default:
			if err := out.print(&job.result); err != nil {
				return fmt.Errorf("writing results: %w", err)
			}
		}
	}
	note(len(jobs), "")
	if err := out.close(); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	if bad > 0 {
		return &exitError{2, nil}
	}
	return nil
}

// solveAll works through the jobs in order: several at a time when each counts
// schedules, one at a time with all processors when each has its seconds. Every
// job is done in the end, if only because the context ended.
func (c *psplibCmd) solveAll(ctx context.Context, jobs []*psplibJob) {
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	if c.Schedules == 0 {
		slots = make(chan struct{}, 1)
	}
	for _, job := range jobs {
		slots <- struct{}{}
		go func() {
			defer func() { close(job.done); <-slots }()
			if job.err = ctx.Err(); job.err == nil {
				job.err = c.solve(ctx, job)
			}
		}()
	}
}

// solve reads, solves and describes one instance.
func (c *psplibCmd) solve(ctx context.Context, job *psplibJob) error {
	f, err := os.Open(job.file)
	if err != nil {
		return err
	}
	p, err := schedule.ReadPSPLIB(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", job.file, err)
	}
	fifo, err := schedule.FirstCome(p)
	if err != nil {
		return fmt.Errorf("%s: %w", job.file, err)
	}
	began := time.Now()
	if c.Seconds > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(c.Seconds*float64(time.Second)))
		defer stop()
	}
	r, err := schedule.Solve(ctx, p, schedule.Options{
		Objective: schedule.Objective{Goal: schedule.ShortestPlan}, Schedules: c.Schedules, Seed: c.Seed,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", job.file, err)
	}
	job.result = psplibResult{
		File: job.file, Makespan: r.Plan.Makespan, CPM: r.Critical, BestKnown: job.best, FIFO: fifo.Makespan,
		Bound: int(r.Bound), Seconds: time.Since(began).Seconds(), Schedules: r.Schedules, Starts: r.Plan.Start,
	}
	return nil
}

var (
	instanceName = regexp.MustCompile(`(?i)^(.+)_(\d{1,6})\.sm$`)
	tableName    = regexp.MustCompile(`(?i)^(.+?)(opt|hrs)\.sm$`)
	boundsName   = regexp.MustCompile(`(?i)^(.+?)lb\.sm$`) // a table too: of bounds that no plan can be below
)

// instanceFiles lists the named files and the instances in the named directories,
// tables of best values left out, in natural order of their names.
func instanceFiles(paths []string, complain func(error)) []string {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			complain(err)
			continue
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		var found []string
		err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				complain(err)
			case !d.IsDir() && strings.EqualFold(filepath.Ext(name), ".sm") && !tableName.MatchString(d.Name()) && !boundsName.MatchString(d.Name()):
				found = append(found, name)
			}
			return nil
		})
		if err != nil {
			complain(err)
		}
		if len(found) == 0 {
			complain(fmt.Errorf("%s: no .sm file in it", path))
		}
		slices.SortFunc(found, func(a, b string) int { return naturally(strings.ToLower(a), strings.ToLower(b)) })
		files = append(files, found...)
	}
	return files
}

// naturally compares names so that 2 comes before 10.
func naturally(a, b string) int {
	for a != "" && b != "" {
		x, y := leadingDigits(a), leadingDigits(b)
		if x > 0 && y > 0 {
			p, q := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
			if len(p) != len(q) {
				return len(p) - len(q)
			}
			if p != q {
				return strings.Compare(p, q)
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func leadingDigits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

// referenceTables remembers, by folder, the tables of best known makespans in it:
// <set>opt.sm and <set>hrs.sm.
type referenceTables map[string]map[string]map[schedule.Key]int

// lookUp finds the best known makespan of an instance in a table in its folder or
// the one above. It returns nil when there is none.
func (t referenceTables) lookUp(file string, complain func(error)) *int {
	m := instanceName.FindStringSubmatch(filepath.Base(file))
	if m == nil {
		return nil
	}
	dir := filepath.Dir(file)
	for _, dir := range []string{dir, filepath.Join(dir, "..")} {
		sets, ok := t[dir]
		if !ok {
			sets = readTables(dir, complain)
			t[dir] = sets
		}
		longestFirst := func(a, b string) int { return len(b) - len(a) }
		for _, set := range slices.SortedStableFunc(maps.Keys(sets), longestFirst) {
			parameter, isPrefix := strings.CutPrefix(strings.ToLower(m[1]), set)
			k, err := strconv.Atoi(parameter)
			if !isPrefix || err != nil {
				continue
			}
			instance, err := strconv.Atoi(m[2])
			if best, known := sets[set][schedule.Key{Parameter: k, Instance: instance}]; err == nil && known {
				return &best
			}
		}
	}
	return nil
}

func readTables(dir string, complain func(error)) map[string]map[schedule.Key]int {
	sets := map[string]map[schedule.Key]int{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return sets // the instance itself will be named if it cannot be read
	}
	for _, e := range entries {
		m := tableName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		name := filepath.Join(dir, e.Name())
		f, err := os.Open(name)
		if err != nil {
			complain(err)
			continue
		}
		best, err := schedule.ReadReferences(f)
		if err = errors.Join(err, f.Close()); err != nil {
			complain(fmt.Errorf("%s: %w", name, err))
			continue
		}
		sets[strings.ToLower(m[1])] = best
	}
	return sets
}

// psplibPrinter writes results as JSON lines, or as a table with averages.
type psplibPrinter struct {
	json  *json.Encoder
	table *tabwriter.Writer
	n     int
	plain tally // above the critical path
	fifo  tally
	best  tally // above the best known
	found int   // best known reached
	built int64
	spent float64
}

type tally struct {
	sum float64
	n   int
}

func (t *tally) add(value, reference int) string {
	if reference <= 0 {
		return "-"
	}
	percent := 100 * float64(value-reference) / float64(reference)
	t.sum += percent
	t.n++
	return fmt.Sprintf("%.2f", percent)
}

func (t *tally) String() string {
	if t.n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f %%", t.sum/float64(t.n))
}

func newPsplibPrinter(w io.Writer, asJSON bool) *psplibPrinter {
	if asJSON {
		return &psplibPrinter{json: json.NewEncoder(w)}
	}
	p := &psplibPrinter{table: tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)}
	return p
}

func (p *psplibPrinter) print(r *psplibResult) error {
	if p.json != nil {
		return p.json.Encode(r)
	}
	if p.n == 0 {
		fmt.Fprintln(p.table, "makespan\tcpm\t% above\tbest\t% above\tfifo\t% above cpm\tschedules\tseconds\t  file")
	}
	p.n++
	best, above := "-", "-"
	if r.BestKnown != nil {
		best, above = strconv.Itoa(*r.BestKnown), p.best.add(r.Makespan, *r.BestKnown)
		if r.Makespan <= *r.BestKnown {
			p.found++
		}
	}
	p.built += r.Schedules
	p.spent += r.Seconds
	_, err := fmt.Fprintf(p.table, "%d\t%d\t%s\t%s\t%s\t%d\t%s\t%d\t%.3f\t  %s\n", r.Makespan, r.CPM, p.plain.add(r.Makespan, r.CPM),
		best, above, r.FIFO, p.fifo.add(r.FIFO, r.CPM), r.Schedules, r.Seconds, r.File)
	return err
}

// close writes the table and its averages.
func (p *psplibPrinter) close() error {
	if p.json != nil || p.n == 0 {
		return nil
	}
	if err := p.table.Flush(); err != nil {
		return err
	}
	w := p.table
	fmt.Fprintf(w, "\n%d instances, on average %s above the critical path (first come, first served: %s)\n", p.n, p.plain.String(), p.fifo.String())
	if p.best.n > 0 {
		fmt.Fprintf(w, "%d with a best known value: %s above it, %d reached or beaten\n", p.best.n, p.best.String(), p.found)
	}
	fmt.Fprintf(w, "%d schedules, %.0f a second of search\n", p.built, float64(p.built)/max(p.spent, 1e-9))
	return w.Flush()
}

// progressTo returns a function that tells which instance is waited for, on one
// line; the last call wipes it. It says nothing unless w is a terminal or it must.
func progressTo(w io.Writer, always bool, n int) func(k int, file string) {
	if !always && !isTerminal(w) {
		return func(int, string) {}
	}
	return func(k int, file string) {
		if k == n {
			fmt.Fprint(w, "\r\033[K")
			return
		}
		fmt.Fprintf(w, "\r\033[K%d/%d %s", k+1, n, filepath.Base(file))
	}
}

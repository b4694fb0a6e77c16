// Command peers measures other Sigma engines, for Go and (with cargo) for Rust,
// on the same events and rules as ours, on one core, in CPU time. It is a
// module of its own: nothing of it is part of the product.
//
//	cd bench/peers && GOMAXPROCS=1 go run . RULES.zip DIR…
//
// Every engine gets the events as decoded maps, and for each event only the
// rules whose log source fits: routing is done beforehand and not counted. Ours
// is measured from JSON bytes, decoding and routing included.
package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	bradley "github.com/bradleyjkemp/sigma-go"
	"github.com/bradleyjkemp/sigma-go/evaluator"
	markus "github.com/markuskont/go-sigma-rule-engine"
	"gopkg.in/yaml.v2"

	"leitstand/pure/evtx"
	"leitstand/pure/sigma"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: peers RULES.zip DIR…")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// corpus is what all engines see.
type corpus struct {
	sources map[string][]byte // rule files by rule id
	set     *sigma.RuleSet
	eng     *sigma.Engine
	lines   [][]byte
	maps    []map[string]any
	routes  [][]string // ids of the rules that apply, by event
	want    []map[string]bool
	logs    []string // event logs
}

// foreignLine is an event as JSON with the names that our routes add.
func (c *corpus) foreignLine(i int) ([]byte, error) { return json.Marshal(c.maps[i]) }

func run(rules string, dirs []string) error {
	c, err := load(rules, dirs)
	if err != nil {
		return err
	}
	matches := 0
	for _, w := range c.want {
		matches += len(w)
	}
	fmt.Printf("%d events, %d rules of Windows, %d matches\n", len(c.lines), len(c.set.Rules), matches)
	ours := c.ours()
	fmt.Printf("%-34s %10.0f events/s  (JSON decoding and routing included)\n", "leitstand", ours)
	for _, p := range []struct {
		name string
		make func(*corpus) (func(id string, ev map[string]any) bool, int)
	}{{"bradleyjkemp/sigma-go v0.6.6", bradleyEngine}, {"markuskont/go-sigma-rule-engine v0.3.0", markusEngine}} {
		match, refused := p.make(c)
		rate, missing, extra, seen := c.peer(match)
		fmt.Printf("%-38s %6.0f events/s, ours is %.0f times as fast; %d rules refused; on %d events %d matches missing, %d extra\n",
			p.name, rate, ours/rate, refused, seen, missing, extra)
	}
	return c.rust(ours)
}

func load(rules string, dirs []string) (*corpus, error) {
	c := &corpus{sources: map[string][]byte{}}
	z, err := zip.OpenReader(rules)
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
	byName := map[string][]byte{}
	for _, f := range files {
		byName[f.Name] = f.Data
	}
	c.set, _ = sigma.ParseRules(files)
	var windows []*sigma.Rule
	for _, r := range c.set.Rules {
		if r.Logsource.Product == "windows" {
			windows = append(windows, r)
			c.sources[r.ID] = byName[r.File]
		}
	}
	c.set.Rules = windows
	c.eng, _ = sigma.Compile(c.set, sigma.Options{})
	for _, dir := range dirs {
		if err := c.read(dir); err != nil {
			return nil, err
		}
	}
	c.route()
	return c, nil
}

func (c *corpus) read(dir string) error {
	return filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".evtx") {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		full, err := filepath.Abs(p)
		if err != nil {
			return err
		}
		c.logs = append(c.logs, full)
		r := evtx.NewBytesReader(data)
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			m := map[string]any{}
			for _, f := range rec.Fields {
				switch have, dup := m[f.Name]; {
				case f.Null:
					m[f.Name] = nil
				case dup:
					m[f.Name] = fmt.Sprint(have, "\n", string(f.Text)) // these engines know no lists
				default:
					m[f.Name] = string(f.Text)
				}
			}
			line, err := json.Marshal(m)
			if err != nil {
				return err
			}
			if m["EventID"] == "4688" && m["Channel"] == "Security" { // what our routes do
				m["Image"], m["ParentImage"] = m["NewProcessName"], m["ParentProcessName"]
			}
			c.lines, c.maps = append(c.lines, line), append(c.maps, m)
		}
		return nil
	})
}

// route finds which rules apply to which event, and our matches.
func (c *corpus) route() {
	m, ev := c.eng.NewMatcher(), c.eng.NewEvent()
	cache := map[string][]string{}
	for i, line := range c.lines {
		ev.Reset()
		_ = ev.DecodeJSON(line) // our own JSON
		want := map[string]bool{}
		for _, r := range m.Match(ev) {
			want[r.ID] = true
		}
		c.want = append(c.want, want)
		key := fmt.Sprint(c.maps[i]["Channel"], "\x00", c.maps[i]["EventID"], "\x00", c.maps[i]["EventType"])
		ids, ok := cache[key]
		if !ok {
			for _, r := range c.set.Rules {
				if m.Applies(r, ev) {
					ids = append(ids, r.ID)
				}
			}
			cache[key] = ids
		}
		c.routes = append(c.routes, ids)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (c *corpus) ours() float64 {
	m, ev := c.eng.NewMatcher(), c.eng.NewEvent()
	start, n := cpu(), 0
	for cpu()-start < 3*time.Second {
		for _, line := range c.lines {
			ev.Reset()
			_ = ev.DecodeJSON(line) // our own JSON
			_ = m.Match(ev)
		}
		n += len(c.lines)
	}
	return float64(n) / (cpu() - start).Seconds()
}

// peer evaluates every eighth event, since these engines need milliseconds for one.
func (c *corpus) peer(match func(string, map[string]any) bool) (rate float64, missing, extra, seen int) {
	start := cpu()
	for i := 0; i < len(c.maps); i += 8 {
		seen++
		for _, id := range c.routes[i] {
			switch got := match(id, c.maps[i]); {
			case got && !c.want[i][id]:
				extra++
			case !got && c.want[i][id]:
				missing++
			}
		}
	}
	return float64(seen) / (cpu() - start).Seconds(), missing, extra, seen
}

func bradleyEngine(c *corpus) (func(string, map[string]any) bool, int) {
	rules, refused := map[string]*evaluator.RuleEvaluator{}, 0
	for id, src := range c.sources {
		r, err := bradley.ParseRule(src)
		if err != nil {
			refused++
			continue
		}
		func() {
			defer func() {
				if recover() != nil {
					refused++
				}
			}()
			rules[id] = evaluator.ForRule(r)
		}()
	}
	return func(id string, ev map[string]any) bool {
		r := rules[id]
		if r == nil {
			return false
		}
		res, err := r.Matches(context.Background(), ev)
		return err == nil && res.Match
	}, refused
}

// markusEvent is an event as that engine wants it.
type markusEvent map[string]any

func (e markusEvent) Keywords() ([]string, bool) {
	var out []string
	for _, v := range e {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out, true
}

func (e markusEvent) Select(name string) (any, bool) {
	v, ok := e[name]
	return v, ok
}

func markusEngine(c *corpus) (func(string, map[string]any) bool, int) {
	rules, refused := map[string]*markus.Tree{}, 0
	for id, src := range c.sources {
		var r markus.Rule
		if err := yaml.NewDecoder(bytes.NewReader(src)).Decode(&r); err != nil {
			refused++
			continue
		}
		t, err := markus.NewTree(markus.RuleHandle{Rule: r, NoCollapseWS: true})
		if err != nil {
			refused++
			continue
		}
		rules[id] = t
	}
	return func(id string, ev map[string]any) bool {
		t := rules[id]
		if t == nil {
			return false
		}
		_, ok := t.Eval(markusEvent(ev))
		return ok
	}, refused
}

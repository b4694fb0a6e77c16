package sigma_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"syscall"
	"testing"
	"time"

	"leitstand/pure/evtx"
	"leitstand/pure/sigma"
)

// flatJSON writes a record as one line of flat JSON.
func flatJSON(rec *evtx.Record) []byte {
	var b bytes.Buffer
	seen := map[string]bool{}
	b.WriteByte('{')
	for i := range rec.Fields {
		name := rec.Fields[i].Name
		if seen[name] {
			continue
		}
		seen[name] = true
		var vals []any
		for j := range rec.Fields {
			switch f := &rec.Fields[j]; {
			case f.Name != name:
			case f.Null:
				vals = append(vals, nil)
			default:
				vals = append(vals, string(f.Text))
			}
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		writeJSON(&b, name)
		b.WriteByte(':')
		if len(vals) == 1 {
			writeJSON(&b, vals[0])
		} else {
			writeJSON(&b, vals)
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

func writeJSON(b *bytes.Buffer, v any) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	b.Truncate(b.Len() - 1) // the line break
}

func corpus(b testing.TB) [][]byte {
	var lines [][]byte
	eachEvent(b, func(_ string, rec *evtx.Record) { lines = append(lines, flatJSON(rec)) })
	return lines
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkMatchFlatJSON(b *testing.B) {
	eng, _ := windowsEngine(b)
	lines := corpus(b)
	size := 0
	for _, l := range lines {
		size += len(l)
	}
	m, ev := eng.NewMatcher(), eng.NewEvent()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	matches := 0
	slow := make([]time.Duration, 0, len(lines))
	start, best := cpuTime(), time.Hour
	for b.Loop() {
		pass := cpuTime()
		matches = 0
		slow = slow[:0]
		for _, l := range lines {
			t := time.Now()
			ev.Reset()
			if err := ev.DecodeJSON(l); err != nil {
				b.Fatal(err)
			}
			matches += len(m.Match(ev))
			slow = append(slow, time.Since(t))
		}
		best = min(best, cpuTime()-pass)
	}
	b.ReportMetric(float64(len(lines))/best.Seconds(), "best-events/cpu-s")
	cpu := cpuTime() - start
	slices.Sort(slow)
	b.ReportMetric(float64(len(lines)*b.N)/cpu.Seconds(), "events/cpu-s")
	b.ReportMetric(float64(slow[len(slow)*99/100].Nanoseconds())/1000, "p99-us")
	b.ReportMetric(float64(slow[len(slow)-1].Nanoseconds())/1000, "max-us")
	b.ReportMetric(float64(matches), "matches")
}

func BenchmarkDecodeJSON(b *testing.B) {
	eng, _ := windowsEngine(b)
	lines := corpus(b)
	size := 0
	for _, l := range lines {
		size += len(l)
	}
	ev := eng.NewEvent()
	b.SetBytes(int64(size))
	start, best := cpuTime(), time.Hour
	for b.Loop() {
		pass := cpuTime()
		for _, l := range lines {
			ev.Reset()
			if err := ev.DecodeJSON(l); err != nil {
				b.Fatal(err)
			}
		}
		best = min(best, cpuTime()-pass)
	}
	b.ReportMetric(float64(len(lines)*b.N)/(cpuTime()-start).Seconds(), "events/cpu-s")
	b.ReportMetric(float64(len(lines))/best.Seconds(), "best-events/cpu-s")
}

func BenchmarkLoadRules(b *testing.B) {
	files := sharedRules(b)
	for b.Loop() {
		set, _ := sigma.ParseRules(files)
		_, _ = sigma.Compile(set, sigma.Options{})
	}
}

// BenchmarkValueCount has 1,800 distinct values in the window.
func BenchmarkValueCount(b *testing.B) {
	rules := "title: F\nname: f\nlogsource: {product: x}\ndetection: {s: {kind: a}, condition: s}\n---\ntitle: X\ncorrelation: {type: value_count, rules: [f], group-by: [src], timespan: 1h, condition: {field: user, gte: 100000}}\n"
	set, problems := sigma.ParseRules([]sigma.File{{Name: "r", Data: []byte(rules)}})
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	eng, _ := sigma.Compile(set, sigma.Options{})
	c, m, ev := eng.NewCorrelator(sigma.CorrelatorOptions{}), eng.NewMatcher(), eng.NewEvent()
	users := make([]string, 1800)
	for i := range users {
		users[i] = "user" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
	}
	at, n := time.Unix(1e9, 0), 0
	for b.Loop() {
		ev.Reset()
		ev.Time = at.Add(time.Duration(n) * time.Millisecond)
		ev.Add("kind", "a")
		ev.Add("src", "192.0.2.1")
		ev.Add("user", users[n%len(users)])
		m.Match(ev)
		c.Observe(ev, m.All(), "")
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

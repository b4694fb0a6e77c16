package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"leitstand/pure/evtx"
)

// rust measures the Rust engines, when cargo is there: the program in rust/
// gets the corpus as files and prints a line for each engine.
func (c *corpus) rust(ours float64) error {
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		fmt.Println("Rust engines left out: no cargo here")
		return nil
	}
	// One of rsigma's dependencies asks for a newer compiler than it needs.
	build := exec.Command(cargo, "build", "--release", "--quiet", "--locked", "--ignore-rust-version")
	build.Dir, build.Stderr = "rust", os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the Rust engines: %w", err)
	}
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // only a corpus
	if err := c.export(dir); err != nil {
		return err
	}
	cmd := exec.Command("rust/target/release/peers", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("running the Rust engines: %w", err)
	}
	mb, records := c.readLogs()
	fmt.Printf("%-46s %8.0f records/s, %.0f MB/s of EVTX\n", "leitstand", records, mb)
	for line := range strings.Lines(string(out)) {
		if err := sayRust(strings.Split(strings.TrimSpace(line), "\t"), ours, mb, records); err != nil {
			return err
		}
	}
	return nil
}

func sayRust(f []string, ours, mb, records float64) error {
	if len(f) == 4 && f[0] == "EVTX" {
		theirMB, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			return err
		}
		rate, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			return err
		}
		fmt.Printf("%-46s %8.0f records/s, %.0f MB/s; ours is %.1f times as fast by records, %.1f by bytes\n", f[1], rate, theirMB, records/rate, mb/theirMB)
		return nil
	}
	if len(f) != 6 {
		return fmt.Errorf("the Rust engines said %q", f)
	}
	rate, err := strconv.ParseFloat(f[1], 64)
	if err != nil {
		return err
	}
	fmt.Printf("%-46s %8.0f events/s, ours is %.1f times as fast; %s rules refused; on %s events %s matches missing, %s extra\n", f[0], rate, ours/rate, f[2], f[3], f[4], f[5])
	return nil
}

// export writes the corpus in the form that rust/src/main.rs reads.
func (c *corpus) export(dir string) error {
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		return err
	}
	for id, src := range c.sources {
		if err := os.WriteFile(filepath.Join(dir, "rules", id+".yml"), src, 0o600); err != nil {
			return err
		}
	}
	var events, groups, rules, want, logs bytes.Buffer
	number := map[string]int{}
	for i := range c.lines {
		line, err := c.foreignLine(i)
		if err != nil {
			return err
		}
		events.Write(append(line, '\n'))
		key := strings.Join(c.routes[i], " ")
		n, ok := number[key]
		if !ok {
			n = len(number)
			number[key] = n
			rules.WriteString(key + "\n")
		}
		fmt.Fprintln(&groups, n)
		var ids []string
		for id := range c.want[i] {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		want.WriteString(strings.Join(ids, " ") + "\n")
	}
	for _, p := range c.logs {
		logs.WriteString(p + "\n")
	}
	for name, b := range map[string]*bytes.Buffer{"events.jsonl": &events, "groups.tsv": &groups, "rules.tsv": &rules, "want.tsv": &want, "logs.txt": &logs} {
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// readLogs measures our reader on the event logs in memory.
func (c *corpus) readLogs() (mb, records float64) {
	var files [][]byte
	for _, p := range c.logs {
		f, err := os.Open(p)
		if err != nil {
			continue // it was read before
		}
		data, err := io.ReadAll(bufio.NewReader(f))
		if err == nil {
			files = append(files, data)
		}
		_ = f.Close() // only read
	}
	r := evtx.NewBytesReader(nil)
	size, n, start := 0, 0, cpu()
	for cpu()-start < 3*time.Second {
		for _, data := range files {
			size += len(data)
			r.Reset(bytes.NewReader(data), int64(len(data)))
			for _, ok := r.Next(); ok; _, ok = r.Next() {
				n++
			}
		}
	}
	took := (cpu() - start).Seconds()
	return float64(size) / 1e6 / took, float64(n) / took
}

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// list walks directories, also one that a link names. Files of other kinds
// inside are counted, not read.
func (w *watcher) list(name string) []job {
	if name == "-" {
		return []job{{name: "-", path: "-", explicit: true}}
	}
	info, err := os.Stat(name)
	if err != nil {
		fmt.Fprintf(w.app.stderr, "leitstand: %v\n", err)
		w.stats.unreadable++
		return nil
	}
	if !info.IsDir() {
		return []job{{name: name, path: name, explicit: true}}
	}
	jobs, skipped := w.walk(name)
	if len(jobs) == 0 {
		fmt.Fprintf(w.app.stderr, "leitstand: %s: no file in it is a log by its name (%d others)\n", plain(name), skipped)
	}
	w.stats.skipped += skipped
	return jobs
}

func (w *watcher) walk(name string) (jobs []job, skipped int) {
	err := fs.WalkDir(os.DirFS(name), ".", func(p string, d fs.DirEntry, err error) error {
		full := strings.TrimRight(name, "/") + "/" + p // as given, joined with the path
		switch {
		case err != nil:
			fmt.Fprintf(w.app.stderr, "leitstand: %s: %v\n", plain(name), err)
			if p == "." {
				w.stats.unreadable++
			}
		case d.IsDir():
		case isLog(p):
			jobs = append(jobs, job{name: full, path: full})
		default:
			skipped++
		}
		return nil
	})
	if err != nil {
		fmt.Fprintf(w.app.stderr, "leitstand: %v\n", err)
	}
	return jobs, skipped
}

// rotated is what log rotation puts behind a name: .1, -20230426, .2023-04-26.
var rotated = regexp.MustCompile(`[.-][0-9][0-9_.-]*$`)

// isLog: which files of a directory or zip are taken for logs.
func isLog(p string) bool {
	base := strings.ToLower(filepath.Base(p))
	for range maxPacked {
		for _, packed := range [...]string{".gz", ".bz2", ".zst"} {
			base = strings.TrimSuffix(base, packed)
		}
	}
	base = rotated.ReplaceAllString(base, "")
	switch filepath.Ext(base) {
	case ".evtx", ".json", ".jsonl", ".ndjson", ".log", ".raw", ".zip":
		return true
	}
	for _, n := range [...]string{"auth.log", "syslog", "messages", "secure", "audit.log", "kern.log", "daemon.log"} {
		if base == n || strings.HasPrefix(base, n+".") {
			return true
		}
	}
	return false
}

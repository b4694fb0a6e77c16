package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"leitstand/pure/evtx"
	"leitstand/pure/sigma"
	"leitstand/warning"
)

const (
	maxTextLine = 1 << 20  // longer lines are cut; what is cut is counted as damaged
	maxJSONSize = 16 << 20 // of one object
	maxUnpacked = 8 << 30  // of one packed file, all that is in it together
	maxHeld     = 1 << 30  // of one packed event log, which is read from memory
	maxPacked   = 3        // times that a file may be packed
)

// job is one file to read.
type job struct {
	name     string // as people see it
	path     string
	explicit bool // named as a source: what it is decides the exit code
}

// sources reads everything, several files at a time, and prints in their order.
func (w *watcher) sources(names []string) {
	var jobs []job
	for _, n := range names {
		jobs = append(jobs, w.list(n)...)
	}
	workers := w.cmd.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if len(jobs) == 1 || w.explain != nil {
		workers = 1
	}
	done := make([]chan *finished, len(jobs))
	for i := range done {
		done[i] = make(chan *finished, 1)
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			r := w.newRun()
			for i := range next {
				done[i] <- r.job(jobs[i], len(jobs) == 1)
			}
			r.finish()
		})
	}
	wg.Go(func() {
		defer close(next)
		for i := range jobs {
			select {
			case next <- i:
			case <-w.app.ctx.Done():
				for ; i < len(jobs); i++ {
					done[i] <- &finished{}
				}
				return
			}
		}
	})
	w.collect(jobs, done)
	wg.Wait()
}

// finished is what comes of one file.
type finished struct {
	out, errs bytes.Buffer
	stats     watchStats
	seen      []sigma.Observation
}

func (w *watcher) collect(jobs []job, done []chan *finished) {
	progress := newProgress(w.app.stderr)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range jobs {
		f := w.await(done[i], tick.C, func() {
			progress.show(fmt.Sprintf("%d of %d files, %d events", i, len(jobs), w.sofar.Load()))
		})
		_, err := w.app.stdout.Write(f.out.Bytes())
		_, err2 := w.app.stderr.Write(f.errs.Bytes())
		if err != nil || err2 != nil {
			continue // nobody reads any more; the exit code still tells
		}
		w.stats.add(f.stats)
		w.seen = append(w.seen, f.seen...)
	}
	progress.clear()
}

// await waits for a file and says meanwhile how far all are.
func (w *watcher) await(done <-chan *finished, tick <-chan time.Time, say func()) *finished {
	for {
		select {
		case f := <-done:
			return f
		case <-tick:
			say()
		}
	}
}

func (w *watcher) newRun() *fileRun {
	f := &fileRun{w: w, m: w.eng.NewMatcher(), ev: w.eng.NewEvent()}
	if w.cmd.Cost {
		f.m.Profile(func() time.Duration { return time.Since(w.start) })
	}
	return f
}

// finish hands over what one goroutine has gathered over all its files.
func (f *fileRun) finish() {
	if f.w.cmd.Cost {
		f.w.costMu.Lock()
		defer f.w.costMu.Unlock()
		f.w.addCosts(f.m.Costs())
	}
}

// job reads one file. A single one writes at once, so that a pipe shows matches as they come.
func (f *fileRun) job(j job, live bool) *finished {
	done := &finished{}
	f.name, f.out, f.errs, f.stats, f.seen = j.name, &done.out, &done.errs, watchStats{}, nil
	if live {
		f.out, f.errs = f.w.app.stdout, f.w.app.stderr
		f.show = newProgress(f.w.app.stderr)
	}
	err := f.read(j)
	f.show.clear()
	if err = notStopped(f.w.app.ctx, err); err != nil {
		fmt.Fprintf(f.errs, "leitstand: %s: %v\n", plain(f.name), err)
		if f.stats.events == 0 && j.explicit {
			f.stats.unreadable++
		} else {
			f.stats.damaged++
		}
	}
	done.stats, done.seen = f.stats, f.seen
	return done
}

func (f *fileRun) read(j job) (err error) {
	if j.path == "-" {
		return f.standardInput(f.w.app.stdin)
	}
	if strings.EqualFold(filepath.Ext(j.path), ".zip") {
		return f.zipped(j)
	}
	file, err := os.Open(j.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return errors.New("is a directory")
	}
	f.stats.files++
	if !info.Mode().IsRegular() { // a pipe, such as <(zcat x)
		return f.standardInput(file)
	}
	f.stats.bytes += info.Size()
	var magic [8]byte
	n, err := file.ReadAt(magic[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(magic[:n]) == "ElfFile\x00" || strings.EqualFold(filepath.Ext(j.path), ".evtx") {
		return f.events(file, info.Size())
	}
	f.left = maxUnpacked
	return f.stream(file, info.ModTime(), 0)
}

// liveLateness is how much events of a stream may be out of order for correlations.
const liveLateness = time.Minute

// standardInput, or a pipe, may go on for days: correlations are told as they
// come true, and judged to the end when it ends.
func (f *fileRun) standardInput(src io.Reader) error {
	f.left = maxUnpacked
	if f.bench != nil {
		return f.stream(src, time.Time{}, 0)
	}
	f.live = f.w.eng.NewCorrelator(sigma.CorrelatorOptions{Lateness: liveLateness})
	defer func() { f.live = nil }()
	err := f.stream(src, time.Time{}, 0)
	f.stats.matches += f.w.fired(f.out, f.live.Flush())
	return err
}

// events reads an EVTX file.
func (f *fileRun) events(src io.ReaderAt, size int64) error {
	if f.bench != nil {
		data, err := io.ReadAll(io.NewSectionReader(src, 0, size))
		f.bench.files = append(f.bench.files, data)
		return err
	}
	r := evtx.NewReader(src, size)
	for rec, ok := r.Next(); ok; rec, ok = r.Next() {
		if rec.ID%1024 == 0 && f.w.app.ctx.Err() != nil {
			return f.w.app.ctx.Err()
		}
		warning.FillEVTX(f.ev, rec)
		id, found := rec.Get("EventRecordID")
		if !found {
			id = strconv.FormatUint(rec.ID, 10)
		}
		if err := f.event(id); err != nil {
			return err
		}
	}
	for _, d := range r.Damage() {
		fmt.Fprintf(f.errs, "leitstand: %s: %v\n", plain(f.name), d)
	}
	f.stats.damaged += r.Stats().Damaged
	return r.Err()
}

// firstText returns the first byte that is no white space or byte order mark, without consuming it.
func firstText(b *bufio.Reader) byte {
	for n := 1; n <= 4096; n++ {
		p, err := b.Peek(n)
		if err != nil {
			return 0
		}
		switch c := p[n-1]; c {
		case ' ', '\t', '\r', '\n', 0xef, 0xbb, 0xbf:
		default:
			return c
		}
	}
	return 0
}

// lines reads a text log.
func (f *fileRun) lines(b *bufio.Reader, modified time.Time) error {
	if f.bench != nil {
		return errors.New("bench measures events of EVTX and JSON, not lines of text")
	}
	year := modified.Year()
	if modified.IsZero() {
		year = time.Now().Year()
	}
	for n := 1; ; n++ {
		line, cut, err := readLine(b, maxTextLine)
		if len(line) > 0 {
			if cut {
				f.stats.damaged++
			}
			f.ev.Reset()
			f.ev.DecodeText(string(line), year)
			if err := f.event(strconv.Itoa(n)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n%1024 == 0 && f.w.app.ctx.Err() != nil {
			return f.w.app.ctx.Err()
		}
	}
}

// readLine returns a line without its end; what exceeds limit is dropped and cut is true.
func readLine(b *bufio.Reader, limit int) (line []byte, cut bool, err error) {
	for {
		part, err := b.ReadSlice('\n')
		if room := limit - len(line); len(part) > room {
			part, cut = part[:room], true
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimRight(line, "\r\n"), cut, err
		}
	}
}

package main

import (
	"fmt"
	"io"
	"time"
)

// progress shows how far a long run is, on a terminal only.
type progress struct {
	out   io.Writer
	last  time.Time
	shown bool
}

func newProgress(out io.Writer) *progress {
	if !isTerminal(out) {
		return &progress{}
	}
	return &progress{out: out, last: time.Now()}
}

func (p *progress) show(text string) {
	if p == nil || p.out == nil || time.Since(p.last) < time.Second {
		return
	}
	p.last, p.shown = time.Now(), true
	fmt.Fprintf(p.out, "\r\x1b[K%s", text)
}

func (p *progress) clear() {
	if p != nil && p.shown {
		p.shown = false
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

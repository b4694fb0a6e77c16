package main

import (
	"fmt"
	"io"
	"time"
)

// progress shows how far a long run is: on a terminal each second in one line,
// elsewhere, as in a journal, a line of its own each half minute.
type progress struct {
	out   io.Writer
	last  time.Time
	plain bool
	shown bool
}

const plainProgress = 30 * time.Second

func newProgress(out io.Writer) *progress {
	return &progress{out: out, last: time.Now(), plain: !isTerminal(out)}
}

func (p *progress) show(text string) {
	switch {
	case p == nil || time.Since(p.last) < time.Second || p.plain && time.Since(p.last) < plainProgress:
		return
	case p.plain:
		p.last = time.Now()
		fmt.Fprintf(p.out, "leitstand: %s\n", text)
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

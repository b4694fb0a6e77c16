package sicknote

import "sync"

// turns shares the processors among mailboxes. Work that brings a mail to its end
// goes before work that begins one: otherwise all mailboxes seal, then all check, in
// waves, and every mail waits for a whole wave of others. Nothing starves, for only
// what was begun can be brought to an end.
type turns struct {
	mu     sync.Mutex
	free   int
	ending []chan struct{} // who waits to bring something to its end, first come first
	others []chan struct{}
}

func newTurns(n int) *turns { return &turns{free: n} }

// take waits for a turn; every take is followed by one give.
func (t *turns) take(ending bool) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return
	}
	mine := make(chan struct{})
	if ending {
		t.ending = append(t.ending, mine)
	} else {
		t.others = append(t.others, mine)
	}
	t.mu.Unlock()
	<-mine
}

// give passes the turn on.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, line := range []*[]chan struct{}{&t.ending, &t.others} {
		if len(*line) > 0 {
			next := (*line)[0]
			*line = (*line)[1:]
			close(next)
			return
		}
	}
	t.free++
}

package emergency

import (
	"context"
	"sync"

	"leitstand/pure/seal"
)

// together lets bodies that are being taken in at the same moment share an
// encapsulation, which costs more than all the rest of closing them. It is
// forgotten as soon as nobody takes anything in: in a quiet process nothing is
// left that could open a body, and under load it fits mostTogether bodies, which
// were in memory a moment ago.
type together struct {
	mu   sync.Mutex
	busy int // who is between enter and leave
	to   *seal.PublicKey
	by   func() (*seal.Together, error) // makes it for whoever asks first
	left int
}

// mostTogether bodies have one encapsulation.
const mostTogether = 64

// enter begins to take something in; leave ends it.
func (t *together) enter() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy++
}

func (t *together) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy--; t.busy == 0 {
		t.by, t.left = nil, 0
	}
}

// seal closes a body for the holder of the key. Call it between enter and leave.
func (t *together) seal(to *seal.PublicKey, plain, aad []byte) ([]byte, error) {
	g, err := t.share(to)()
	if err != nil {
		return nil, err
	}
	return g.Seal(plain, aad)
}

func (t *together) share(to *seal.PublicKey) func() (*seal.Together, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == 0 || t.to != to { // used up, or the key was rotated
		t.to, t.left, t.by = to, mostTogether, sync.OnceValues(to.Together)
	}
	t.left--
	return t.by
}

// reader opens the bodies of a batch: those closed together cost one decapsulation.
func (j *Journal) reader(ctx context.Context) (Opener, error) {
	ring, err := j.keys(ctx)
	if err != nil {
		return nil, err
	}
	return ring.Reader(), nil
}

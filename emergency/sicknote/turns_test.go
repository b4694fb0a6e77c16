package sicknote

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

func TestWhatEndsAMailGoesBeforeWhatBeginsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := newTurns(1)
		turn.take(false)
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for _, w := range []struct {
			name   string
			ending bool
		}{{"seal 1", false}, {"seal 2", false}, {"check 1", true}, {"check 2", true}} {
			wg.Go(func() {
				turn.take(w.ending)
				mu.Lock()
				order = append(order, w.name)
				mu.Unlock()
				turn.give()
			})
			synctest.Wait() // it stands in line before the next one comes
		}
		turn.give()
		wg.Wait()
		if want := []string{"check 1", "check 2", "seal 1", "seal 2"}; !slices.Equal(order, want) {
			t.Errorf("%q", order)
		}
		if turn.free != 1 {
			t.Errorf("%d turns are free at the end", turn.free)
		}
	})
}

package schedule

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCellsAreCountedAsTheyComeBack(t *testing.T) {
	p := chain()
	last := len(p.Tasks) - 1
	p.Cells = []Cell{
		{ID: "a", Group: "x", Weight: 1, Levels: []Level{{0, 1}}},
		{ID: "b", Group: "y", Weight: 1, Levels: []Level{{last, 1}}},
		{ID: "not counted", Group: "y", Weight: 1, Levels: []Level{{0, 1}}},
	}
	plan := asPlanned(t, p)
	f := simulated(t, p, ForecastOptions{Runs: 20, Count: []int{0, 1}, Every: 1})
	for _, b := range f.Back {
		want := 0
		for _, i := range []int{0, last} {
			if plan.Finish[i] <= b.Slot {
				want++
			}
		}
		if b.P50 != want || b.P90 != want {
			t.Errorf("at %d: %+v, want %d cells", b.Slot, b, want)
		}
	}
	if n := len(f.Back); n == 0 || f.Back[n-1].P90 != 2 {
		t.Errorf("in the end not all are back: %+v", f.Back)
	}
	end := plan.Finish[last]
	want := []GroupSpan{{"x", Span{plan.Finish[0], plan.Finish[0]}}, {"y", Span{end, end}}}
	if diff := cmp.Diff(want, f.CellGroups); diff != "" || f.LastCell != (Span{end, end}) {
		t.Errorf("groups (-want +got)\n%s last %+v", diff, f.LastCell)
	}
	if _, err := Simulate(p, plan, ForecastOptions{Count: []int{3}}); err == nil {
		t.Error("a cell that is not there was counted")
	}
}

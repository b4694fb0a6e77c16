package emergency

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNumbersThatFollowEachOtherAreOneRange(t *testing.T) {
	var run []Number
	for n := Number(10); n < 20; n++ {
		run = append(run, n)
	}
	for name, c := range map[string]struct {
		numbers []Number
		want    string
		args    []any
	}{
		"one":             {[]Number{7}, "(n in ($3))", []any{int64(7)}},
		"apart":           {[]Number{9, 3, 9}, "(n in ($3, $4))", []any{int64(3), int64(9)}},
		"short run":       {[]Number{1, 2, 3}, "(n in ($3, $4, $5))", []any{int64(1), int64(2), int64(3)}},
		"run":             {run, "(n between $3 and $4)", []any{int64(10), int64(19)}},
		"run and singles": {append([]Number{30, 1}, run...), "(n between $4 and $5 or n in ($3, $6))", []any{int64(1), int64(10), int64(19), int64(30)}},
	} {
		got, args := numberIs("n", 3, c.numbers)
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if diff := cmp.Diff(c.args, args); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

package emergency

import (
	"slices"
	"strconv"
	"strings"
)

// Shorter runs of numbers are named one by one.
const shortestRange = 8

// numberIs writes the condition that a column is one of the numbers: as ranges
// where many follow each other, which those of a batch do, for engines read a long
// list of parameters slowly. Parameters count from $from; numbers is not empty.
func numberIs(column string, from int, numbers []Number) (condition string, args []any) {
	var parts, singles []string
	add := func(n Number) string {
		args = append(args, int64(n))
		return "$" + strconv.Itoa(from+len(args)-1)
	}
	for run := range runs(slices.Compact(slices.Sorted(slices.Values(numbers)))) {
		if len(run) >= shortestRange {
			parts = append(parts, column+" between "+add(run[0])+" and "+add(run[len(run)-1]))
			continue
		}
		for _, n := range run {
			singles = append(singles, add(n))
		}
	}
	if len(singles) > 0 {
		parts = append(parts, column+" in ("+strings.Join(singles, ", ")+")")
	}
	return "(" + strings.Join(parts, " or ") + ")", args
}

// runs splits ascending numbers where one is left out.
func runs(numbers []Number) func(yield func([]Number) bool) {
	return func(yield func([]Number) bool) {
		for start, i := 0, 1; i <= len(numbers); i++ {
			if i < len(numbers) && numbers[i] == numbers[i-1]+1 {
				continue
			}
			if !yield(numbers[start:i]) {
				return
			}
			start = i
		}
	}
}

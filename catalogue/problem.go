package catalogue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a file.
type Problem struct {
	File  string `json:"file"`
	Line  int    `json:"line,omitempty"`  // from 1; 0 concerns the whole file
	Field string `json:"field,omitempty"` // column or key; empty concerns the whole line
	Text  string `json:"text"`
}

// String is "file:line: field: text" without the parts that are empty.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Field != "" {
		b.WriteString(": " + p.Field)
	}
	return b.String() + ": " + p.Text
}

// maxProblems is how many are told; a file that is wrong everywhere needs no more.
const maxProblems = 1000

// Problems is the error of an import: everything that is wrong, sorted by file and line.
type Problems []Problem

// Error lists all, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	ps = slices.Compact(ps)
	if len(ps) > maxProblems {
		more := len(ps) - maxProblems
		ps = append(ps[:maxProblems:maxProblems], Problem{File: ps[maxProblems].File, Text: fmt.Sprintf("and %d more problems", more)})
	}
	return ps
}

// meant is ", did you mean …?" when a known word is close to what was written.
func meant(written string, known []string) string {
	best, least := "", 1+len(written)/3
	for _, k := range known {
		if d := distance(strings.ToLower(written), strings.ToLower(k)); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// maxHints is how many mistakes get a guess at what was meant: it costs a
// comparison with every name.
const maxHints = 100

// meant is the hint for the first mistakes, and nothing afterwards.
func (r *reader) meant(written string, known func() []string) string {
	if len(r.problems) >= maxHints {
		return ""
	}
	return meant(written, known())
}

// distance is how many letters must be inserted, removed, replaced or swapped
// with their neighbour. Long words are compared by their first 64 letters.
func distance(x, y string) int {
	a, b := []rune(x), []rune(y)
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			differ := 1
			if a[i-1] == b[j-1] {
				differ = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+differ)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

package sigma

import (
	"cmp"
	"fmt"
	"slices"
)

// File is one rule file: its name as people know it, and its bytes.
type File struct {
	Name string
	Data []byte
}

// Problem names something that cannot be used, or not fully, and why.
type Problem struct {
	File   string // as given in File.Name
	Line   int    // from 1; 0 when the whole file is meant
	Rule   string // id of the rule, empty when it has none
	Title  string
	Reason string
}

// Error reads like a compiler message.
func (p Problem) Error() string {
	s := fmt.Sprintf("%s:%d: ", p.File, p.Line)
	if p.Rule != "" {
		s += "rule " + p.Rule + ": "
	}
	return s + p.Reason
}

// sortProblems puts them into file and line order.
func sortProblems(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

// lineError is an error with the line of the rule file that caused it.
type lineError struct {
	line int
	msg  string
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.msg) }

func errAt(line int, format string, args ...any) error {
	return &lineError{line: line, msg: fmt.Sprintf(format, args...)}
}

package catalogue

import (
	"fmt"
	"slices"
	"strings"
)

// Op is the kind of a formula. The zero value needs nothing.
type Op int

// The kinds of a formula.
const (
	OpNone Op = iota // needs nothing, always holds
	OpNode           // needs one component or placement
	OpAll            // needs all of the formulas in Of
	OpAny            // needs one of the formulas in Of: alternatives
)

// Formula is what something rests on: a monotone AND/OR formula over
// components and placements. The zero value needs nothing.
//
// As text: names, & for "and", | for "or", parentheses; & binds closer.
type Formula struct {
	Op   Op
	Node string // a ComponentID or PlacementID, for OpNode
	Of   []Formula
}

// Node needs the one component or placement.
func Node[T ~string](id T) Formula { return Formula{Op: OpNode, Node: string(id)} }

// All needs every one; of nothing, it needs nothing.
func All(of ...Formula) Formula { return join(OpAll, of) }

// Any needs one of them. Of nothing, it needs nothing: an alternative that
// nobody named is no dependency.
func Any(of ...Formula) Formula { return join(OpAny, of) }

func join(op Op, of []Formula) Formula {
	var kept []Formula
	for _, f := range of {
		switch {
		case f.Op == OpNone && op == OpAny:
			return Formula{} // one alternative needs nothing
		case f.Op == OpNone:
		case f.Op == op:
			kept = append(kept, f.Of...)
		default:
			kept = append(kept, f)
		}
	}
	slices.SortFunc(kept, Formula.compare)
	kept = slices.CompactFunc(kept, func(a, b Formula) bool { return a.compare(b) == 0 })
	switch len(kept) {
	case 0:
		return Formula{}
	case 1:
		return kept[0]
	}
	return Formula{Op: op, Of: kept}
}

// compare orders nodes before groups, then by text.
func (f Formula) compare(g Formula) int {
	if (f.Op == OpNode) != (g.Op == OpNode) {
		if f.Op == OpNode {
			return -1
		}
		return 1
	}
	return strings.Compare(f.String(), g.String())
}

// Normal is an equivalent formula in the one form that equal content shares:
// flat, sorted, without doubles. It keeps nothing of f.
func (f Formula) Normal() Formula {
	switch f.Op {
	case OpNone, OpNode:
		return Formula{Op: f.Op, Node: f.Node}
	case OpAll, OpAny:
		of := make([]Formula, len(f.Of))
		for i, g := range f.Of {
			of[i] = g.Normal()
		}
		return join(f.Op, of)
	}
	return f
}

// IsZero reports whether the formula needs nothing.
func (f Formula) IsZero() bool { return f.Op == OpNone }

// Holds reports whether the formula holds when up tells which nodes are there.
func (f Formula) Holds(up func(node string) bool) bool {
	switch f.Op {
	case OpNone:
		return true
	case OpNode:
		return up(f.Node)
	case OpAll:
		for _, g := range f.Of {
			if !g.Holds(up) {
				return false
			}
		}
		return true
	case OpAny:
		for _, g := range f.Of {
			if g.Holds(up) {
				return true
			}
		}
		return false
	}
	return false // an unknown kind holds never
}

// Nodes lists every component and placement in the formula once, sorted.
func (f Formula) Nodes() []string {
	var out []string
	f.walk(func(n string) { out = append(out, n) })
	slices.Sort(out)
	return slices.Compact(out)
}

func (f Formula) walk(visit func(node string)) {
	if f.Op == OpNode {
		visit(f.Node)
	}
	for _, g := range f.Of {
		g.walk(visit)
	}
}

// String writes the formula as ParseFormula reads it; "" needs nothing.
func (f Formula) String() string {
	switch f.Op {
	case OpNone:
		return ""
	case OpNode:
		return f.Node
	case OpAll, OpAny:
		sep := " & "
		if f.Op == OpAny {
			sep = " | "
		}
		parts := make([]string, len(f.Of))
		for i, g := range f.Of {
			parts[i] = g.String()
			if len(g.Of) > 0 && (f.Op == OpAll || g.Op == f.Op) {
				parts[i] = "(" + parts[i] + ")"
			}
		}
		return strings.Join(parts, sep)
	}
	return fmt.Sprintf("Op(%d)", int(f.Op))
}

// MarshalText writes String.
func (f Formula) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what ParseFormula reads.
func (f *Formula) UnmarshalText(b []byte) error {
	g, err := ParseFormula(string(b))
	if err != nil {
		return err
	}
	*f = g
	return nil
}

package sigma

// exprKind is the kind of a node of a rule's condition.
type exprKind uint8

const (
	exprAnd exprKind = iota + 1
	exprOr
	exprNot
	exprPred
	exprConst
)

// expr is a condition with its searches filled in.
type expr struct {
	kind  exprKind
	kids  []*expr
	pred  *predicate
	value bool   // exprConst
	name  string // the search identifier this node stands for, "" inside
}

func andOf(kids ...*expr) *expr { return join(exprAnd, kids) }
func orOf(kids ...*expr) *expr  { return join(exprOr, kids) }
func notOf(kid *expr) *expr     { return &expr{kind: exprNot, kids: []*expr{kid}} }
func isTrue(p *predicate) *expr { return &expr{kind: exprPred, pred: p} }

// join makes no node for a single child. No child: and is true, or is false.
func join(kind exprKind, kids []*expr) *expr {
	switch len(kids) {
	case 0:
		return &expr{kind: exprConst, value: kind == exprAnd}
	case 1:
		return kids[0]
	}
	return &expr{kind: kind, kids: kids}
}

// eval is the definition of what a rule means.
func (x *expr) eval(holds func(*predicate) bool) bool {
	switch x.kind {
	case exprAnd:
		for _, k := range x.kids {
			if !k.eval(holds) {
				return false
			}
		}
		return true
	case exprOr:
		for _, k := range x.kids {
			if k.eval(holds) {
				return true
			}
		}
		return false
	case exprNot:
		return !x.kids[0].eval(holds)
	case exprPred:
		return holds(x.pred)
	case exprConst:
		return x.value
	}
	return false
}

// each calls f for every predicate.
func (x *expr) each(f func(*predicate)) {
	if x.kind == exprPred {
		f(x.pred)
	}
	for _, k := range x.kids {
		k.each(f)
	}
}

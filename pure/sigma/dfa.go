package sigma

import (
	"bytes"
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"
)

// A regular expression only has to say yes or no, so it runs as a
// deterministic automaton that is built while it is used: one table look-up a
// character, whatever the expression. Texts that lack a literal which every
// match contains, or are too short, never get that far.

// regexProg is the part that all goroutines share.
type regexProg struct {
	inst     []syntax.Inst
	start    uint32
	anchored bool   // can only match at the beginning
	bounds   []rune // class i is bounds[i] up to bounds[i+1]
	ascii    [128]uint8
	need     [][]byte     // folded literals, longest first
	minLen   int          // bytes
	run      int          // the whole expression is "that many of one class in a row"
	unit     *syntax.Inst // that class
}

// classes are at most this many, or the expression stays with package regexp.
const maxClasses = 250

// compileRegex returns nil when the expression has too many character classes.
func compileRegex(src string) *regexProg {
	re, err := syntax.Parse(src, syntax.Perl)
	if err != nil {
		return nil
	}
	if p := compileRun(re); p != nil {
		return p
	}
	re = re.Simplify()
	prog, err := syntax.Compile(re)
	if err != nil || len(prog.Inst) > 1<<16 {
		return nil
	}
	p := &regexProg{inst: prog.Inst, start: uint32(prog.Start), minLen: minLength(re, 0)}
	p.anchored = prog.StartCond()&syntax.EmptyBeginText != 0
	if !p.classify() {
		return nil
	}
	for _, lit := range required(re, 0) {
		if lit != "" {
			p.need = append(p.need, []byte(lit))
		}
	}
	sort.SliceStable(p.need, func(i, j int) bool { return len(p.need[i]) > len(p.need[j]) })
	p.need = p.need[:min(len(p.need), 4)]
	return p
}

// compileRun recognises expressions like .{1000,}, which would make an
// automaton of as many states.
func compileRun(re *syntax.Regexp) *regexProg {
	if re.Op != syntax.OpRepeat || re.Min < 8 {
		return nil
	}
	unit := re.Sub[0]
	if unit.Op != syntax.OpAnyChar && unit.Op != syntax.OpAnyCharNotNL && unit.Op != syntax.OpCharClass {
		return nil
	}
	prog, err := syntax.Compile(unit)
	if err != nil {
		return nil
	}
	for i := range prog.Inst {
		switch prog.Inst[i].Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			return &regexProg{run: re.Min, minLen: re.Min, unit: &prog.Inst[i]}
		case syntax.InstAlt, syntax.InstAltMatch, syntax.InstCapture, syntax.InstEmptyWidth, syntax.InstMatch, syntax.InstFail, syntax.InstNop:
		}
	}
	return nil
}

// matchRun counts.
func (p *regexProg) matchRun(v []byte) bool {
	for n := 0; len(v) > 0; {
		r, size := rune(v[0]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(v)
		}
		v = v[size:]
		if !p.unit.MatchRune(r) {
			n = 0
		} else if n++; n >= p.run {
			return true
		}
	}
	return false
}

// minLength is the least number of bytes a match has.
func minLength(re *syntax.Regexp, depth int) int {
	if depth > maxDepth {
		return 0
	}
	//exhaustive:ignore
	switch re.Op { // all others may be empty
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return minLength(re.Sub[0], depth+1)
	case syntax.OpRepeat:
		return re.Min * minLength(re.Sub[0], depth+1)
	case syntax.OpConcat:
		n := 0
		for _, s := range re.Sub {
			n += minLength(s, depth+1)
		}
		return n
	case syntax.OpAlternate:
		n := minLength(re.Sub[0], depth+1)
		for _, s := range re.Sub[1:] {
			n = min(n, minLength(s, depth+1))
		}
		return n
	default:
		return 0
	}
}

// classify cuts the characters into classes that no instruction tells apart.
func (p *regexProg) classify() bool {
	cuts := []rune{0, '\n', '\n' + 1, '0', '9' + 1, 'A', 'Z' + 1, '_', '_' + 1, 'a', 'z' + 1}
	for i := range p.inst {
		in := &p.inst[i]
		if in.Op != syntax.InstRune && in.Op != syntax.InstRune1 {
			continue
		}
		if len(in.Rune) == 1 {
			r0 := in.Rune[0]
			cuts = append(cuts, r0, r0+1)
			if syntax.Flags(in.Arg)&syntax.FoldCase != 0 {
				for r := unicode.SimpleFold(r0); r != r0; r = unicode.SimpleFold(r) {
					cuts = append(cuts, r, r+1)
				}
			}
			continue
		}
		for j := 0; j+1 < len(in.Rune); j += 2 {
			cuts = append(cuts, in.Rune[j], in.Rune[j+1]+1)
		}
	}
	slices.Sort(cuts)
	p.bounds = slices.Compact(cuts)
	if len(p.bounds) > maxClasses {
		return false
	}
	for r := range rune(128) {
		p.ascii[r] = p.class(r)
	}
	return true
}

func (p *regexProg) class(r rune) uint8 {
	i, ok := slices.BinarySearch(p.bounds, r)
	if !ok {
		i--
	}
	return uint8(i)
}

// couldMatch is the cheap part: length and literals. low is the folded text.
func (p *regexProg) couldMatch(v, low []byte) bool {
	if len(v) < p.minLen {
		return false
	}
	for _, n := range p.need {
		if !bytes.Contains(low, n) {
			return false
		}
	}
	return true
}

// dfa is the automaton of one expression for one goroutine.
type dfa struct {
	p      *regexProg
	stride int
	trans  []int32 // state*stride + class; class len(bounds) is the end of the text
	states []dfaState
	index  map[string]int32
	used   int // instructions in all states
	seen   []uint32
	mark   uint32
	stack  []uint32
	list   []uint32
	key    []byte
}

// dfaState is a set of places in the program, not yet followed through empty
// steps, and what stood before.
type dfaState struct {
	pcs []uint32
	ctx uint8
}

const (
	ctxBegin uint8 = iota
	ctxNewline
	ctxWord
	ctxOther
)

const (
	dfaUnknown = -1
	dfaMatch   = -2
	dfaDead    = -3
)

// maxDFA bounds the memory of one automaton, in instructions and table cells.
const maxDFA = 1 << 20

func newDFA(p *regexProg) *dfa {
	if p.run > 0 {
		return &dfa{p: p}
	}
	d := &dfa{p: p, stride: len(p.bounds) + 1, seen: make([]uint32, len(p.inst))}
	d.reset()
	return d
}

func (d *dfa) reset() {
	d.trans, d.states, d.index, d.used = d.trans[:0], d.states[:0], map[string]int32{}, 0
	d.state([]uint32{d.p.start}, ctxBegin)
}

// state returns the number of a set of places.
func (d *dfa) state(pcs []uint32, ctx uint8) int32 {
	slices.Sort(pcs)
	d.key = append(d.key[:0], ctx)
	for _, pc := range pcs {
		d.key = binary.LittleEndian.AppendUint32(d.key, pc)
	}
	if s, ok := d.index[string(d.key)]; ok {
		return s
	}
	s := int32(len(d.states))
	d.states = append(d.states, dfaState{slices.Clone(pcs), ctx})
	d.index[string(d.key)] = s
	for range d.stride {
		d.trans = append(d.trans, dfaUnknown)
	}
	d.used += len(pcs)
	return s
}

// match says whether the expression matches anywhere in v.
func (d *dfa) match(v []byte) bool {
	if d.p.run > 0 {
		return d.p.matchRun(v)
	}
	s := int32(0)
	for i := 0; i < len(v); {
		var c uint8
		if b := v[i]; b < utf8.RuneSelf {
			c = d.p.ascii[b]
			i++
		} else {
			r, n := utf8.DecodeRune(v[i:])
			c = d.p.class(r)
			i += n
		}
		t := d.trans[int(s)*d.stride+int(c)]
		if t == dfaUnknown {
			t = d.step(s, int(c))
		}
		if t < 0 {
			return t == dfaMatch
		}
		s = t
	}
	t := d.trans[int(s)*d.stride+d.stride-1]
	if t == dfaUnknown {
		t = d.step(s, d.stride-1)
	}
	return t == dfaMatch
}

// step computes one entry of the table.
func (d *dfa) step(s int32, class int) int32 {
	if d.used > maxDFA || len(d.trans) > maxDFA {
		st := d.states[s]
		pcs := slices.Clone(st.pcs)
		d.reset()
		s = d.state(pcs, st.ctx)
	}
	t := d.next(s, class)
	d.trans[int(s)*d.stride+class] = t
	return t
}

func (d *dfa) next(s int32, class int) int32 {
	end := class == d.stride-1
	var r rune = -1
	ctx := ctxOther
	if !end {
		r = d.p.bounds[class]
		switch {
		case r == '\n':
			ctx = ctxNewline
		case syntax.IsWordChar(r):
			ctx = ctxWord
		}
	}
	flags := emptyFlags(d.states[s].ctx, r)
	if d.mark++; d.mark == 0 {
		clear(d.seen)
		d.mark = 1
	}
	d.list = d.list[:0]
	for _, pc := range d.states[s].pcs {
		if d.follow(pc, flags, r) {
			return dfaMatch
		}
	}
	if end {
		return dfaDead
	}
	if !d.p.anchored {
		d.list = append(d.list, d.p.start)
	}
	if len(d.list) == 0 {
		return dfaDead
	}
	slices.Sort(d.list)
	return d.state(slices.Compact(d.list), ctx)
}

// emptyFlags are the empty-width conditions between what stood before and r; -1 is the end.
func emptyFlags(before uint8, r rune) syntax.EmptyOp {
	switch before {
	case ctxBegin:
		return syntax.EmptyOpContext(-1, r)
	case ctxNewline:
		return syntax.EmptyOpContext('\n', r)
	case ctxWord:
		return syntax.EmptyOpContext('a', r)
	}
	return syntax.EmptyOpContext(' ', r)
}

// follow walks empty steps from pc, and notes where reading r leads. True: a match.
func (d *dfa) follow(pc uint32, flags syntax.EmptyOp, r rune) bool {
	d.stack = append(d.stack[:0], pc)
	for len(d.stack) > 0 {
		pc = d.stack[len(d.stack)-1]
		d.stack = d.stack[:len(d.stack)-1]
		if d.seen[pc] == d.mark {
			continue
		}
		d.seen[pc] = d.mark
		in := &d.p.inst[pc]
		switch in.Op {
		case syntax.InstMatch:
			return true
		case syntax.InstAlt, syntax.InstAltMatch:
			d.stack = append(d.stack, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			d.stack = append(d.stack, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^flags == 0 {
				d.stack = append(d.stack, in.Out)
			}
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if r >= 0 && in.MatchRune(r) {
				d.list = append(d.list, in.Out)
			}
		case syntax.InstFail:
		}
	}
	return false
}

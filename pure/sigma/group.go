package sigma

// group is what applies to one kind of event: the rules, and an index that
// finds those which could match.
type group struct {
	rules  []bound
	always []int32 // rules that show no witness
	index  []fieldIndex
	scan   *scanner  // over all values of the event
	lists  [][]int32 // rules by list number; 0 is empty
	fields []renaming
	code   []instr
	tests  []test // shared with other groups
}

// bound is a rule in a group.
type bound struct {
	rule *Rule
	code int32 // entry of its code, or one of the ends
}

// renaming gives a field another name in a group.
type renaming struct{ name, from int32 }

// fieldIndex sees the witnesses of one field that are not literals to be scanned for.
type fieldIndex struct {
	field   int32
	numbers bool // exact holds numbers, which also equal hexadecimal values
	exact   map[string]int32
	present int32 // list of rules that are candidates as soon as the field is there
	high    int32 // and when a value is not only ASCII
}

// indexBuilder collects the sights of a group.
type indexBuilder struct {
	g     *group
	scan  *scanBuilder
	byLit map[sight]int32
	field map[int32]int // position in g.index
}

func newIndexBuilder(c *compiler, g *group) *indexBuilder {
	g.lists = make([][]int32, 1)
	return &indexBuilder{g: g, scan: newScanBuilder(c.grams), byLit: map[sight]int32{}, field: map[int32]int{}}
}

// add makes a rule a candidate where the sight holds.
func (b *indexBuilder) add(s sight, rule int32) {
	list, ok := b.byLit[s]
	if !ok {
		list = int32(len(b.g.lists))
		b.g.lists = append(b.g.lists, nil)
		b.byLit[s] = list
		b.file(s, list)
	}
	l := b.g.lists[list]
	if len(l) == 0 || l[len(l)-1] != rule {
		b.g.lists[list] = append(l, rule)
	}
}

func (b *indexBuilder) file(s sight, list int32) {
	if s.kind == testContains {
		b.scan.add(s.lit, s.anch, s.field, list)
		return
	}
	at, ok := b.field[s.field]
	if !ok {
		at = len(b.g.index)
		b.g.index = append(b.g.index, fieldIndex{field: s.field})
		b.field[s.field] = at
	}
	x := &b.g.index[at]
	switch s.kind {
	case testExact:
		if x.exact == nil {
			x.exact = map[string]int32{}
		}
		x.exact[s.lit] = list
		x.numbers = x.numbers || (s.lit != "" && s.lit[0] >= '0' && s.lit[0] <= '9')
	case testHigh:
		x.high = list
	case testAny:
		x.present = list
	case testPrefix, testSuffix, testContains, testAnyOf, testWild, testSlow, testRegex, testExists, testNull, testRef:
	}
}

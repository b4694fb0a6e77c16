package sigma

// group is what applies to one kind of event: the rules, and an index that
// finds those which could match.
type group struct {
	rules  []bound
	always []int32 // rules that show no witness
	index  []fieldIndex
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

// fieldIndex sees the witnesses in one field; field 0 means all values.
type fieldIndex struct {
	field   int32
	numbers bool // exact holds numbers, which also equal hexadecimal values
	exact   map[string]int32
	scan    *scanner
	present int32     // rules that are candidates as soon as the field is there
	high    int32     // rules that are candidates when the value is not only ASCII
	lists   [][]int32 // rules by list number; 0 is empty
}

// indexBuilder collects the sights of a group.
type indexBuilder struct {
	c      *compiler
	order  []int32
	fields map[int32]*fieldBuild
}

type fieldBuild struct {
	idx    fieldIndex
	byLit  map[sight]int32
	scan   *scanBuilder
	number bool
}

func newIndexBuilder(c *compiler) *indexBuilder {
	return &indexBuilder{c: c, fields: map[int32]*fieldBuild{}}
}

// add makes a rule a candidate where the sight holds.
func (b *indexBuilder) add(s sight, rule int32) {
	f := b.fields[s.field]
	if f == nil {
		f = &fieldBuild{idx: fieldIndex{field: s.field, lists: make([][]int32, 1)}, byLit: map[sight]int32{}, scan: newScanBuilder(b.c.grams)}
		b.fields[s.field] = f
		b.order = append(b.order, s.field)
	}
	list, ok := f.byLit[s]
	if !ok {
		list = int32(len(f.idx.lists)) //nolint:gosec // far below 2^31 literals
		f.idx.lists = append(f.idx.lists, nil)
		f.byLit[s] = list
		switch {
		case s.kind == testExact:
			if f.idx.exact == nil {
				f.idx.exact = map[string]int32{}
			}
			f.idx.exact[s.lit] = list
			f.idx.numbers = f.idx.numbers || (s.lit != "" && s.lit[0] >= '0' && s.lit[0] <= '9')
		case s.kind == testAny:
			f.idx.present = list
		case s.kind == testHigh:
			f.idx.high = list
		default:
			f.scan.add(s.lit, s.anch, list)
		}
	}
	l := f.idx.lists[list]
	if len(l) == 0 || l[len(l)-1] != rule {
		f.idx.lists[list] = append(l, rule)
	}
}

func (b *indexBuilder) build() []fieldIndex {
	var out []fieldIndex
	for _, id := range b.order {
		f := b.fields[id]
		f.idx.scan = f.scan.build()
		out = append(out, f.idx)
	}
	return out
}

package eau

import (
	"fmt"
	"slices"
	"strings"
)

// invariant is one row of rules/invariants.txt.
type invariant struct {
	key      string
	severity Severity
	text     string // German: what is wrong when it does not hold
	expr     *expr
}

// invariantTable holds the invariants of one version.
type invariantTable struct {
	byKey map[string][]placed
	used  []*invariant
	memos int
}

type placed struct {
	profile string // only there; "" everywhere
	inv     *invariant
}

// find returns the invariant for a key in a profile; nil if the key exists but
// not in this version of the profiles.
func (t *invariantTable) find(key, profile string) (*invariant, error) {
	list, ok := t.byKey[key]
	if !ok {
		return nil, fmt.Errorf("invariant %q is not defined", key)
	}
	for _, p := range list {
		if p.inv != nil && (p.profile == "" || p.profile == profile) {
			if !slices.Contains(t.used, p.inv) {
				t.used = append(t.used, p.inv)
			}
			return p.inv, nil
		}
	}
	return nil, nil //nolint:nilnil // said above
}

// parseInvariants reads the entries that count for a version.
func parseInvariants(table string, v Version) (*invariantTable, error) {
	rows, err := parseLines(table)
	if err != nil {
		return nil, err
	}
	exprs := &exprTable{known: map[string]*expr{}, lets: map[string]*expr{}}
	out := &invariantTable{byKey: map[string][]placed{}}
	texts := map[string]*entry{}
	for i := range rows {
		e := &rows[i]
		if e.let != "" {
			if exprs.lets[e.let], err = exprs.parse(e.expr); err != nil {
				return nil, fmt.Errorf("invariants.txt:%d: %%%s: %w", e.line, e.let, err)
			}
			continue
		}
		if e.as != "" {
			same := texts[e.as]
			if same == nil {
				return nil, fmt.Errorf("invariants.txt:%d: %s is not defined above", e.line, e.as)
			}
			e.expr, e.text = same.expr, same.text
		} else {
			texts[e.key] = e
		}
		p := placed{profile: e.profile}
		if e.counts(v) {
			p.inv = &invariant{key: e.key, severity: e.severity, text: e.text}
			if p.inv.expr, err = exprs.parse(e.expr); err != nil {
				return nil, fmt.Errorf("invariants.txt:%d: %s: %w", e.line, e.key, err)
			}
		}
		out.byKey[e.key] = append(out.byKey[e.key], p)
	}
	out.memos = exprs.memos
	return out, nil
}

// entry is an entry as written.
type entry struct {
	line     int
	let      string // a definition
	key      string
	severity Severity
	versions []string
	profile  string
	as       string
	expr     string
	text     string
}

func (e *entry) counts(v Version) bool {
	for _, w := range e.versions {
		if w == string(v) || w == "1.2" && (v == V120 || v == V121) {
			return true
		}
	}
	return false
}

// parseLines reads the table; expressions keep their quotes, so words are not split there.
func parseLines(table string) ([]entry, error) {
	var out []entry
	for i, text := range strings.Split(table, "\n") {
		switch {
		case text == "" || text[0] == '#':
		case strings.HasPrefix(text, "\t> "):
			out[len(out)-1].text = text[3:]
		case text[0] == '\t':
			out[len(out)-1].expr = text[1:]
		case strings.HasPrefix(text, "let "):
			name, def, ok := strings.Cut(text[4:], " = ")
			if !ok {
				return nil, fmt.Errorf("invariants.txt:%d: not a definition", i+1)
			}
			out = append(out, entry{line: i + 1, let: name, expr: def})
		default:
			e, err := parseHead(text)
			if err != nil {
				return nil, fmt.Errorf("invariants.txt:%d: %w", i+1, err)
			}
			e.line = i + 1
			out = append(out, e)
		}
	}
	return out, nil
}

func parseHead(text string) (entry, error) {
	words := strings.Fields(text)
	if len(words) < 3 || len(words)%2 == 0 {
		return entry{}, fmt.Errorf("not the head of an invariant: %q", text)
	}
	e := entry{key: words[0], severity: SeverityError, versions: strings.Split(words[2], ",")}
	switch words[1] {
	case "error":
	case "warning":
		e.severity = SeverityWarning
	default:
		return entry{}, fmt.Errorf("severity %q", words[1])
	}
	for i := 3; i < len(words); i += 2 {
		switch words[i] {
		case "at":
			e.profile = words[i+1]
		case "as":
			e.as = words[i+1]
		default:
			return entry{}, fmt.Errorf("unknown word %q", words[i])
		}
	}
	return e, nil
}

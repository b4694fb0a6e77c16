package eau

import (
	"fmt"
	"strings"
)

// row is one line of a table with the lines indented below it.
type row struct {
	words []string
	text  string // the whole line, for errors
	line  int
	kids  []*row
}

// parseRows reads a table: a line each, tabs for depth, # for comments. Words
// are separated by blanks; a word in double quotes may contain some.
func parseRows(name, table string) ([]*row, error) {
	root := &row{}
	stack := []*row{root}
	for i, text := range strings.Split(table, "\n") {
		trimmed := strings.TrimLeft(text, "\t")
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		depth := len(text) - len(trimmed)
		if depth >= len(stack) {
			return nil, fmt.Errorf("%s:%d: indented too deep", name, i+1)
		}
		words, err := splitWords(trimmed)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		r := &row{words: words, text: trimmed, line: i + 1}
		stack = stack[:depth+1]
		stack[depth].kids = append(stack[depth].kids, r)
		stack = append(stack, r)
	}
	return root.kids, nil
}

func splitWords(s string) ([]string, error) {
	var words []string
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		end := strings.IndexByte(s, ' ')
		if q := strings.IndexByte(s, '"'); q == 0 {
			end = strings.IndexByte(s[1:], '"')
			if end < 0 {
				return nil, fmt.Errorf("a quoted word is not closed")
			}
			words = append(words, s[1:1+end])
			s = s[end+2:]
			continue
		}
		if end < 0 {
			end = len(s)
		}
		words = append(words, s[:end])
		s = s[end:]
	}
	return words, nil
}

// expand replaces every "use shape …" below the rows by the lines of the shape.
func expand(rows []*row, shapes map[string]*row) ([]*row, error) {
	var out []*row
	for _, r := range rows {
		if r.words[0] != "use" || len(r.words) > 1 && strings.Contains(r.words[1], "..") {
			kids, err := expand(r.kids, shapes)
			if err != nil {
				return nil, err
			}
			out = append(out, &row{words: r.words, text: r.text, line: r.line, kids: kids})
			continue
		}
		if len(r.words) < 2 || shapes[r.words[1]] == nil {
			return nil, fmt.Errorf("line %d: no shape in %q", r.line, r.text)
		}
		shape := shapes[r.words[1]]
		lines, err := expand(fill(shape.kids, shape.words[2:], r.words[2:]), shapes)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	return out, nil
}

// fill puts arguments for parameters; what depends on a missing argument is left out.
func fill(rows []*row, params, args []string) []*row {
	var out []*row
	for _, r := range rows {
		var words []string
		for _, w := range r.words {
			if !strings.HasPrefix(w, "$") {
				words = append(words, w)
				continue
			}
			value := ""
			for i, p := range params {
				if p == w && i < len(args) {
					value = args[i]
				}
			}
			if value != "" {
				words = append(words, value)
			} else if last := len(words) - 1; words[last] == "=" {
				words = words[:last]
			}
		}
		out = append(out, &row{words: words, text: r.text, line: r.line, kids: fill(r.kids, params, args)})
	}
	return out
}

// parseCodes reads the value sets for one version.
func parseCodes(table string, v Version) (map[string]*codeSet, error) {
	rows, err := parseRows("codes.txt", table)
	if err != nil {
		return nil, err
	}
	sets, own := map[string]*codeSet{}, map[string]bool{}
	for _, r := range rows {
		if len(r.words) < 2 || r.words[0] != "valueset" {
			return nil, fmt.Errorf("codes.txt:%d: not a value set", r.line)
		}
		name := r.words[1]
		special := len(r.words) == 3
		if special && r.words[2] != string(v) || !special && own[name] {
			continue
		}
		own[name] = special
		set := &codeSet{name: name, from: map[code]string{}, any: map[string]string{}}
		for _, sys := range r.kids {
			from := ""
			if len(sys.words) == 3 && sys.words[1] == "from" {
				from = sys.words[2]
			}
			for _, line := range sys.kids {
				for _, c := range line.words {
					set.from[code{expandURL(sys.words[0]), c}] = from
					set.any[c] = from
				}
			}
		}
		sets[name] = set
	}
	return sets, nil
}

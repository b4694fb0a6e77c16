package sigma

import (
	"strings"
	"unicode/utf8"
)

// Rules are written in a small part of YAML. quickYAML reads that part several
// times faster than a full parser; at the first sign of anything else it gives
// up, and the full parser reads the file. A test holds the two against each
// other on every rule that is published.

// quickYAML returns false when the file is not of the simple kind.
func quickYAML(data []byte) ([]*node, bool) {
	q := &quick{}
	if !q.split(string(data)) {
		return nil, false
	}
	var docs []*node
	for q.skip(); q.at < len(q.lines); q.skip() {
		if q.lines[q.at].text == "---" && q.lines[q.at].indent == 0 {
			q.at++
			if q.skip(); q.at >= len(q.lines) || q.lines[q.at].text == "---" {
				return nil, false // an empty document
			}
		} else if len(docs) > 0 {
			return nil, false // something follows a document
		}
		l := &q.lines[q.at]
		if l.indent != 0 || l.text == "-" || strings.HasPrefix(l.text, "- ") {
			return nil, false
		}
		d := q.block(0, 0)
		if d == nil || d.kind != mapNode {
			return nil, false
		}
		docs = append(docs, d)
	}
	return docs, len(docs) > 0
}

type quick struct {
	lines []quickLine
	at    int
	nodes int
	open  bool // the last line has no line break
}

// quickLine is a line without its indentation and the blanks at its end.
type quickLine struct {
	text   string
	indent int
	no     int
	raw    string
}

// split cuts the text into lines and refuses characters that need care.
func (q *quick) split(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	q.open = !strings.HasSuffix(s, "\n")
	q.lines = make([]quickLine, 0, strings.Count(s, "\n")+1)
	for no := 1; s != ""; no++ {
		line, rest, _ := strings.Cut(s, "\n")
		s = rest
		line = strings.TrimSuffix(line, "\r")
		if !plainLine(line) {
			return false
		}
		text := strings.TrimLeft(line, " ")
		q.lines = append(q.lines, quickLine{strings.TrimRight(text, " "), len(line) - len(text), no, line})
	}
	return true
}

// plainLine: no tabs, control characters, or characters that YAML takes for line breaks.
func plainLine(line string) bool {
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c >= 0x80 {
			for _, r := range line[i:] {
				if (r < ' ') || (r >= 0x7f && r < 0xa0) || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff {
					return false
				}
			}
			return true
		}
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return !strings.HasPrefix(line, "%") && !strings.HasPrefix(line, "...")
}

// skip goes on to the next line that is neither empty nor a comment.
func (q *quick) skip() {
	for q.at < len(q.lines) && (q.lines[q.at].text == "" || q.lines[q.at].text[0] == '#') {
		q.at++
	}
}

func (q *quick) node(kind nodeKind, line int) *node {
	q.nodes++
	return &node{kind: kind, line: line}
}

// block reads the map or list that begins on this line; nil: not of the simple kind.
func (q *quick) block(indent, depth int) *node {
	if depth > maxDepth || q.nodes > maxYAMLNodes {
		return nil
	}
	l := &q.lines[q.at]
	if l.text == "-" || strings.HasPrefix(l.text, "- ") {
		return q.list(indent, depth)
	}
	return q.mapping(indent, depth)
}

func (q *quick) list(indent, depth int) *node {
	n := q.node(listNode, q.lines[q.at].no)
	for q.skip(); q.at < len(q.lines); q.skip() {
		l := &q.lines[q.at]
		if l.indent != indent || (l.text != "-" && !strings.HasPrefix(l.text, "- ")) {
			if l.indent > indent {
				return nil
			}
			break // the caller looks whether it fits
		}
		item := q.item(l, indent, depth)
		if item == nil {
			return nil
		}
		n.kids = append(n.kids, item)
	}
	return n
}

// item reads what stands behind a dash.
func (q *quick) item(l *quickLine, indent, depth int) *node {
	rest := strings.TrimLeft(l.text[1:], " ")
	if rest == "" || rest[0] == '#' || rest == "-" || strings.HasPrefix(rest, "- ") {
		return nil
	}
	if _, _, ok := cutKey(rest); ok {
		// A map that begins on the line of the dash: read it as if the dash were indentation.
		l.indent += len(l.text) - len(rest)
		l.text = rest
		return q.mapping(l.indent, depth+1)
	}
	return q.scalar(rest, indent)
}

func (q *quick) mapping(indent, depth int) *node {
	n := q.node(mapNode, q.lines[q.at].no)
	for q.skip(); q.at < len(q.lines); q.skip() {
		l := &q.lines[q.at]
		if l.indent < indent || (l.indent == 0 && l.text == "---") {
			break
		}
		if l.indent > indent || l.text == "-" || strings.HasPrefix(l.text, "- ") {
			if l.indent == indent && len(n.kids) > 0 && indent > 0 {
				break // the list this map is an item of goes on
			}
			return nil
		}
		key, rest, ok := cutKey(l.text)
		if !ok || !n.newKey(key) {
			return nil
		}
		key.line = l.no
		value := q.value(rest, indent, depth)
		if value == nil {
			return nil
		}
		n.keys, n.kids = append(n.keys, key), append(n.kids, value)
	}
	return n
}

// newKey: the key was not there before.
func (n *node) newKey(key *node) bool {
	for _, k := range n.keys {
		if k.text == key.text {
			return false
		}
	}
	return true
}

// value reads what stands behind a key: on its line, or as a block below.
func (q *quick) value(rest string, indent, depth int) *node {
	if rest != "" && rest[0] != '#' {
		return q.scalar(rest, indent)
	}
	no := q.lines[q.at].no
	q.at++
	q.skip()
	if q.at < len(q.lines) {
		l := &q.lines[q.at]
		dash := l.text == "-" || strings.HasPrefix(l.text, "- ")
		if l.indent > indent || (dash && l.indent == indent) {
			return q.block(l.indent, depth+1)
		}
	}
	return q.node(scalarNode, no) // null
}

// maxKey is below YAML's limit for a key without "?", 1,024 characters (YAML 1.2, 7.4.2).
const maxKey = 1000

// cutKey splits "key: rest". The key is plain or in quotes; one that may be too
// long for YAML is left to the full parser, which names it.
func cutKey(s string) (key *node, rest string, ok bool) {
	if key, rest, ok = splitKey(s); ok && len(s)-len(rest) > maxKey {
		return nil, "", false
	}
	return key, rest, ok
}

func splitKey(s string) (key *node, rest string, ok bool) {
	key = &node{kind: scalarNode}
	if s[0] == '\'' || s[0] == '"' {
		text, after, ok := cutQuoted(s)
		if !ok || after == "" || after[0] != ':' || (len(after) > 1 && after[1] != ' ') {
			return nil, "", false
		}
		key.text, key.quoted = text, true
		return key, strings.TrimLeft(after[1:], " "), true
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == ':' && (i+1 == len(s) || s[i+1] == ' '):
			key.text = strings.TrimRight(s[:i], " ")
			if !plainStart(key.text) {
				return nil, "", false
			}
			return key, strings.TrimLeft(s[i+1:], " "), true
		case s[i] == '#' && i > 0 && s[i-1] == ' ':
			return nil, "", false
		}
	}
	return nil, "", false
}

// plainStart: a plain text may begin so, and is not of the kind that needs the full parser.
func plainStart(s string) bool {
	if s == "" || strings.IndexByte("-?:,[]{}#&*!|>'\"%@`", s[0]) < 0 {
		return s != "" && s != "<<"
	}
	// "-x" is plain; other signs are rare enough to leave alone.
	return s[0] == '-' && len(s) > 1 && s[1] != ' ' && s[1] != '-'
}

// cutQuoted reads a text in quotes that ends on its line and has only simple escapes.
func cutQuoted(s string) (text, rest string, ok bool) {
	if s[0] == '\'' {
		var b strings.Builder
		for s = s[1:]; ; {
			i := strings.IndexByte(s, '\'')
			if i < 0 {
				return "", "", false
			}
			if !strings.HasPrefix(s[i+1:], "'") {
				if b.Len() == 0 {
					return s[:i], s[i+1:], true
				}
				b.WriteString(s[:i])
				return b.String(), s[i+1:], true
			}
			b.WriteString(s[:i+1])
			s = s[i+2:]
		}
	}
	i := strings.IndexAny(s[1:], `"\`)
	if i < 0 || s[1+i] == '\\' {
		return "", "", false
	}
	return s[1 : 1+i], s[2+i:], true
}

// scalar reads a value that begins on this line, and goes on to the next line.
func (q *quick) scalar(s string, parent int) *node {
	n := q.node(scalarNode, q.lines[q.at].no)
	switch s[0] {
	case '|', '>':
		return q.blockText(n, s, parent)
	case '[':
		return q.flowList(s)
	case '\'', '"':
		text, rest, ok := cutQuoted(s)
		if !ok || (rest != "" && !strings.HasPrefix(strings.TrimLeft(rest, " "), "#")) || strings.HasPrefix(rest, "#") {
			return nil
		}
		n.text, n.quoted = text, true
		q.at++
		return n
	}
	if i := strings.Index(s, " #"); i >= 0 {
		s = strings.TrimRight(s[:i], " ")
	}
	if !plainStart(s) || strings.Contains(s, ": ") || strings.HasSuffix(s, ":") {
		return nil
	}
	n.text = s
	q.at++
	// A plain text may go on in the next line.
	if next := q.at; next < len(q.lines) {
		for next < len(q.lines) && q.lines[next].text == "" {
			next++
		}
		if next < len(q.lines) && q.lines[next].indent > parent && q.lines[next].text[0] != '#' {
			return nil
		}
	}
	return n
}

// flowList reads [a, 'b'] on one line.
func (q *quick) flowList(s string) *node {
	n := q.node(listNode, q.lines[q.at].no)
	s = s[1:]
	for {
		s = strings.TrimLeft(s, " ")
		item := q.node(scalarNode, n.line)
		switch {
		case s == "":
			return nil
		case s[0] == '\'' || s[0] == '"':
			text, rest, ok := cutQuoted(s)
			if !ok {
				return nil
			}
			item.text, item.quoted, s = text, true, strings.TrimLeft(rest, " ")
		default:
			i := strings.IndexAny(s, ",]")
			if i <= 0 {
				return nil
			}
			item.text = strings.TrimRight(s[:i], " ")
			if !plainStart(item.text) || strings.ContainsAny(item.text, "{}[]#:'\"") {
				return nil
			}
			s = s[i:]
		}
		n.kids = append(n.kids, item)
		switch {
		case strings.HasPrefix(s, ","):
			s = s[1:]
		case s == "]":
			q.at++
			return n
		default:
			return nil
		}
	}
}

// blockText reads | and > texts with plain chomping.
func (q *quick) blockText(n *node, head string, parent int) *node {
	if head != "|" && head != "|-" && head != ">" && head != ">-" {
		return nil
	}
	n.quoted = true
	q.at++
	indent := -1
	var lines []string
	for ; q.at < len(q.lines); q.at++ {
		l := &q.lines[q.at]
		if l.text == "" {
			if indent >= 0 && l.indent > indent || indent < 0 && l.indent > 0 {
				return nil // blanks at the end count: leave it
			}
			lines = append(lines, "")
			continue
		}
		if indent < 0 {
			if indent = l.indent; indent <= parent {
				return nil
			}
		}
		if l.indent < indent {
			break
		}
		if head[0] == '>' && l.indent > indent {
			return nil // more indented lines are not folded
		}
		lines = append(lines, l.raw[indent:])
	}
	if indent < 0 || lines[0] == "" || (q.at >= len(q.lines) && q.open) || (q.at < len(q.lines) && q.lines[q.at].indent > parent) {
		return nil
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	n.text = strings.Join(lines, "\n")
	if head[0] == '>' {
		n.text = foldLines(lines)
	}
	if !strings.HasSuffix(head, "-") {
		n.text += "\n"
	}
	return n
}

// foldLines joins lines with blanks, and paragraphs with line breaks.
func foldLines(lines []string) string {
	var b strings.Builder
	empty := 0
	for i, l := range lines {
		switch {
		case l == "":
			empty++
			continue
		case empty > 0:
			b.WriteString(strings.Repeat("\n", empty))
		case i > 0:
			b.WriteByte(' ')
		}
		empty = 0
		b.WriteString(l)
	}
	return b.String()
}

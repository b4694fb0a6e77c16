package kimmail

import (
	"bytes"
	"strings"
)

// Field is one header field. Value is unfolded (RFC 5322 §2.2.3) and trimmed,
// not decoded: an encoded word still looks like one.
type Field struct {
	Name  string
	Value string
}

// Header is a header in the order it was sent. Names compare without case.
type Header []Field

// Get returns the first field of that name, or "".
func (h Header) Get(name string) string {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// All returns every value of that name, in order.
func (h Header) All(name string) []string {
	var all []string
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			all = append(all, h[i].Value)
		}
	}
	return all
}

// Text returns the first field of that name with encoded words (RFC 2047)
// decoded. A word that cannot be decoded stays as it was sent.
func (h Header) Text(name string) string { return decodeWords(h.Get(name)) }

// readHeader splits raw into its header and what follows the empty line. Line
// ends may be CRLF or LF. A line without a colon ends the header when nothing
// came before it, otherwise it is an error.
func readHeader(raw []byte, lim Limits) (Header, []byte, error) {
	h := make(Header, 0, 24)
	rest := raw
	for len(rest) > 0 {
		used := len(raw) - len(rest)
		if used > lim.HeaderBytes {
			return nil, nil, overLimit("header bytes", used, lim.HeaderBytes)
		}
		line, after := cutLine(rest)
		if len(line) == 0 {
			return h, after, nil
		}
		field, next, err := readField(rest, lim)
		if err != nil {
			return nil, nil, err
		}
		if len(h) == lim.Fields {
			return nil, nil, overLimit("header fields", len(h)+1, lim.Fields)
		}
		h, rest = append(h, field), next
	}
	return h, nil, nil
}

// readField reads one field with its continuation lines.
func readField(b []byte, lim Limits) (Field, []byte, error) {
	line, rest := cutLine(b)
	name, value, found := bytes.Cut(line, []byte{':'})
	name = bytes.TrimRight(name, " \t")
	if !found || !isFieldName(name) {
		return Field{}, nil, malformed("header line %q", clip(line))
	}
	if len(line) > lim.FieldBytes {
		return Field{}, nil, overLimit("header field bytes", len(line), lim.FieldBytes)
	}
	if len(rest) == 0 || (rest[0] != ' ' && rest[0] != '\t') {
		return Field{Name: string(name), Value: string(bytes.Trim(value, " \t"))}, rest, nil
	}
	var sb strings.Builder
	sb.Write(bytes.Trim(value, " \t"))
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		line, rest = cutLine(rest)
		if sb.Len()+len(line) > lim.FieldBytes {
			return Field{}, nil, overLimit("header field bytes", sb.Len()+len(line), lim.FieldBytes)
		}
		if line = bytes.Trim(line, " \t"); len(line) > 0 {
			sb.WriteByte(' ')
			sb.Write(line)
		}
	}
	return Field{Name: string(name), Value: strings.TrimSpace(sb.String())}, rest, nil
}

// isFieldName: RFC 5322 §3.6.8, printable ASCII without colon.
func isFieldName(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return len(b) > 0
}

// cutLine returns the first line without its end, and the rest.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	line, rest = b[:i], b[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest
}

// clip keeps foreign text in errors short.
func clip(b []byte) string {
	const most = 40
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}

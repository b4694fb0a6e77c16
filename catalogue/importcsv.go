package catalogue

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// csv reads one file of lines of one kind, its columns separated by semicolons.
func (r *reader) csv(name string, data []byte) []record {
	in := csv.NewReader(bytes.NewReader(data))
	in.Comma = ';'
	in.FieldsPerRecord = -1
	header, err := in.Read()
	if err != nil {
		r.csvError(name, err)
		r.broken = true
		return nil
	}
	headLine, _ := in.FieldPos(0)
	spec, cols, ok := r.header(name, headLine, header)
	if !ok {
		return nil
	}
	var out []record
	for {
		row, err := in.Read()
		switch {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			r.csvError(name, err)
			if len(r.problems) > maxProblems {
				return out
			}
			continue
		case strings.TrimSpace(strings.Join(row, "")) == "":
			continue // Excel leaves lines of nothing but semicolons
		}
		line, _ := in.FieldPos(0)
		if len(row) != len(cols) {
			r.say(name, line, "", "%d columns, the header has %d", len(row), len(cols))
			continue
		}
		rec := record{kind: spec.kind, file: name, line: line, fields: make(map[string]value, len(row))}
		for i, s := range row {
			at, _ := in.FieldPos(i)
			rec.fields[cols[i]] = value{text: s, line: at}
		}
		out = append(out, rec)
		if len(out) > MaxRecords {
			return out
		}
	}
}

func (r *reader) csvError(name string, err error) {
	var p *csv.ParseError
	switch {
	case errors.As(err, &p):
		r.say(name, p.Line, "", "is no CSV: %v", p.Err)
	default:
		r.say(name, 0, "", "is no CSV: %v", err)
	}
}

// header tells the kind of the lines and the name of each column.
func (r *reader) header(name string, line int, header []string) (kindSpec, []string, bool) {
	cols := make([]string, len(header))
	for i, h := range header {
		cols[i] = strings.ToLower(strings.TrimSpace(h))
	}
	spec, ok := specFor(cols)
	if !ok {
		r.broken = true
		r.say(name, line, strings.Join(cols, ";"), "no known kind of file%s (%s)", headerHint(cols), kindsInWords())
		return spec, nil, false
	}
	good := true
	for i, c := range cols {
		switch {
		case !slices.Contains(spec.fields(), c):
			r.say(name, line, c, "unknown column in a file of %s%s", spec.list, meant(c, spec.fields()))
			good = false
		case slices.Contains(cols[:i], c):
			r.say(name, line, c, "this column is there twice")
			good = false
		}
	}
	r.broken = r.broken || !good
	return spec, cols, good
}

// headerHint says what a header lacks to be of the kind it resembles most.
func headerHint(cols []string) string {
	if len(cols) == 1 && strings.ContainsAny(cols[0], ",\t") {
		return ": columns are separated by semicolons"
	}
	var near kindSpec
	most := 0
	for _, s := range specs() {
		n := 0
		for _, c := range cols {
			if slices.Contains(s.fields(), c) {
				n++
			}
		}
		if n > most {
			near, most = s, n
		}
	}
	for _, need := range near.required {
		if slices.Contains(cols, need) {
			continue
		}
		for _, c := range cols {
			if m := meant(c, []string{need}); m != "" && !slices.Contains(near.fields(), c) {
				return fmt.Sprintf(": %q%s", c, m)
			}
		}
		return fmt.Sprintf(": for %s the column %q is missing", near.list, need)
	}
	return ""
}

func specFor(cols []string) (kindSpec, bool) {
	for _, s := range specs() {
		all := true
		for _, c := range s.required {
			all = all && slices.Contains(cols, c)
		}
		if all {
			return s, true
		}
	}
	return kindSpec{}, false
}

func kindsInWords() string {
	var out []string
	for _, s := range specs() {
		out = append(out, s.list+" needs "+strings.Join(s.required, ";"))
	}
	return strings.Join(out, ", ")
}

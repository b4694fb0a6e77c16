package catalogue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// kind is what a line of a CSV file or an entry of a YAML list describes.
type kind int

const (
	kindKasse kind = iota + 1
	kindSite
	kindService
	kindComponent
	kindPlacement
)

// kindSpec names a kind in files. CSV columns and YAML keys are the same words.
type kindSpec struct {
	kind     kind
	list     string // key of the list in YAML, name of the file we write
	required []string
	optional []string
}

// specs in the order in which a CSV header is matched: the first kind whose
// required columns are all there.
func specs() []kindSpec {
	return []kindSpec{
		{kindPlacement, "platzierungen", []string{"kasse", "standort", "dienst"}, []string{"haengt_ab_von", "art", "mtpd_h", "team", "angenommen"}},
		{kindKasse, "kassen", []string{"ik", "name"}, []string{
			"kassenart", "weitere_ik", "fruehere_namen", "versicherte", "versicherte_angenommen",
			"aufsicht_recht", "aufsicht_daten", "aufsicht_angenommen", "notiz",
		}},
		{kindComponent, "komponenten", []string{"komponente"}, []string{"name", "standort", "haengt_ab_von", "art", "angenommen"}},
		{kindService, "dienste", []string{"dienst", "name"}, []string{"kritikalitaet", "mtpd_h", "alternative", "verhalten", "gewicht", "termine", "notiz"}},
		{kindSite, "standorte", []string{"standort"}, []string{"name", "angenommen"}},
	}
}

func (s kindSpec) fields() []string { return slices.Concat(s.required, s.optional) }

// value is one field as written, and where.
type value struct {
	text string
	list []string // what a YAML list holds; nil elsewhere
	line int
}

// record is one line or entry, its fields not yet understood.
type record struct {
	kind   kind
	file   string
	line   int
	fields map[string]value
}

// reader understands fields and collects what is wrong.
type reader struct {
	problems Problems
	broken   bool // a whole file was not understood: names that lead nowhere are no news then
}

// unknown reports a name that leads nowhere, unless a file is missing anyway.
func (r *reader) unknown(rec record, field, format string, args ...any) {
	if !r.broken {
		r.at(rec, field, format, args...)
	}
}

func (r *reader) say(file string, line int, field, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: file, Line: line, Field: field, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) at(rec record, field, format string, args ...any) {
	line := rec.line
	if v, ok := rec.fields[field]; ok {
		line = v.line
	}
	r.say(rec.file, line, field, format, args...)
}

// maxField is the longest value of a field in bytes.
const maxField = 16 << 10

// text of a field, trimmed; "" when absent.
func (r *reader) text(rec record, field string) string {
	v := rec.fields[field]
	if v.list != nil {
		r.at(rec, field, "a list where one value should stand")
		return ""
	}
	s := strings.TrimSpace(v.text)
	if len(s) > maxField {
		r.at(rec, field, "%d bytes, at most %d", len(s), maxField)
		return ""
	}
	for _, c := range s {
		if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) {
			r.at(rec, field, "contains the control character %U", c)
			return ""
		}
	}
	return s
}

// must is text that may not be empty.
func (r *reader) must(rec record, field string) string {
	s := r.text(rec, field)
	if s == "" && rec.fields[field].list == nil {
		r.at(rec, field, "is empty")
	}
	return s
}

// words of a list: a YAML list, or text separated by |.
func (r *reader) words(rec record, field string) []string {
	v := rec.fields[field]
	parts := v.list
	if parts == nil {
		parts = strings.Split(v.text, "|")
	}
	var out []string
	for _, p := range parts {
		one := record{kind: rec.kind, file: rec.file, line: rec.line, fields: map[string]value{field: {text: p, line: v.line}}}
		if s := r.text(one, field); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// yes reads a Boolean; empty is no.
func (r *reader) yes(rec record, field string) bool {
	switch s := r.text(rec, field); strings.ToLower(s) {
	case "", "nein", "n", "0", "false", "no":
		return false
	case "ja", "j", "1", "true", "yes", "x":
		return true
	default:
		r.at(rec, field, "%q is neither ja nor nein", s)
		return false
	}
}

// count reads a whole number from 0, also with points between thousands; empty is 0.
func (r *reader) count(rec record, field string) int {
	s := r.text(rec, field)
	if s == "" {
		return 0
	}
	plain := s
	if groups := strings.Split(s, "."); len(groups) > 1 {
		good := len(groups[0]) >= 1 && len(groups[0]) <= 3
		for _, g := range groups[1:] {
			good = good && len(g) == 3
		}
		if good {
			plain = strings.Join(groups, "")
		}
	}
	n, err := strconv.Atoi(plain)
	if err != nil || n < 0 || n > 1_000_000_000 || strings.HasPrefix(plain, "+") {
		r.at(rec, field, "%q is no whole number from 0 to 1.000.000.000", s)
		return 0
	}
	return n
}

// number reads a decimal from 0, with comma or point; ok is false when empty or wrong.
func (r *reader) number(rec record, field string) (float64, bool) {
	s := r.text(rec, field)
	if s == "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil || f < 0 || f > 1e6 || f != f || strings.ContainsAny(s, "xXpP_") {
		r.at(rec, field, "%q is no number from 0 to 1000000", s)
		return 0, false
	}
	return f, true
}

// maxMTPD is ten years.
const maxMTPD = 87_600 * time.Hour

// hours reads "72", "1,5" or "1:30" (hours and minutes); empty is 0.
func (r *reader) hours(rec record, field string) time.Duration {
	s := r.text(rec, field)
	if s == "" {
		return 0
	}
	if d, ok := parseHours(s); ok {
		return d
	}
	r.at(rec, field, "%q is no number of hours to the minute, such as 72, 1,5 or 1:30, up to %d", s, maxMTPD/time.Hour)
	return 0
}

func parseHours(s string) (time.Duration, bool) {
	if h, m, ok := strings.Cut(s, ":"); ok {
		hours, err1 := strconv.ParseUint(h, 10, 20)
		minutes, err2 := strconv.ParseUint(m, 10, 8)
		d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
		return d, err1 == nil && err2 == nil && len(m) == 2 && minutes < 60 && d <= maxMTPD
	}
	f, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil || !(f >= 0 && f <= maxMTPD.Hours()) || strings.ContainsAny(s, "xXpP_") {
		return 0, false
	}
	minutes := int64(f*60 + 0.5)
	return time.Duration(minutes) * time.Minute, float64(minutes) == f*60
}

// formatHours writes what parseHours reads.
func formatHours(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10)
	}
	return fmt.Sprintf("%d:%02d", d/time.Hour, d%time.Hour/time.Minute)
}

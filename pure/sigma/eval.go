package sigma

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// holds evaluates one predicate on one event, straight from its definition.
// The engine must always agree with it.
func (p *predicate) holds(e *Event) bool {
	switch p.op {
	case opExists:
		return e.has(p.field) == p.want
	case opNull:
		return p.null(e)
	case opFieldRef:
		return p.sameAs(e)
	case opPattern, opNumber, opRegex, opCIDR, opLess, opLessEq, opGreater, opGreaterEq, opTime:
	}
	for i := range e.fields {
		f := &e.fields[i]
		if !f.null && (p.field == "" || nameIs(e.nameOf(f), p.field)) && p.test(string(e.value(f))) {
			return true
		}
	}
	return false
}

func (e *Event) has(name string) bool {
	for i := range e.fields {
		if nameIs(e.nameOf(&e.fields[i]), name) {
			return true
		}
	}
	return false
}

// null: the field is absent, or each of its values is null.
func (p *predicate) null(e *Event) bool {
	for i := range e.fields {
		if f := &e.fields[i]; nameIs(e.nameOf(f), p.field) && !f.null {
			return false
		}
	}
	return true
}

// sameAs: any value of this field fits any value of the other.
func (p *predicate) sameAs(e *Event) bool {
	for i := range e.fields {
		f := &e.fields[i]
		if f.null || !nameIs(e.nameOf(f), p.field) {
			continue
		}
		for j := range e.fields {
			g := &e.fields[j]
			if !g.null && nameIs(e.nameOf(g), p.text) && p.fitsRef(string(e.value(f)), string(e.value(g))) {
				return true
			}
		}
	}
	return false
}

// fitsRef compares with another field's value, at the ends the pattern leaves closed.
func (p *predicate) fitsRef(s, other string) bool {
	if !p.cased {
		s, other = fold(s), fold(other)
	}
	return p.fitsFolded(s, other)
}

func (p *predicate) fitsFolded(s, other string) bool {
	switch before, after := p.pat.startsOpen(), p.pat.endsOpen(); {
	case before && after:
		return strings.Contains(s, other)
	case before:
		return strings.HasSuffix(s, other)
	case after:
		return strings.HasPrefix(s, other)
	}
	return s == other
}

// test tests one value that is not null.
func (p *predicate) test(s string) bool {
	switch p.op {
	case opPattern:
		if !p.cased {
			s = fold(s)
		}
		return p.pat.match(s)
	case opNumber:
		return p.equalsNumber(s)
	case opRegex:
		return p.re.MatchString(s)
	case opCIDR:
		return p.inNet(s)
	case opLess, opLessEq, opGreater, opGreaterEq:
		f, ok := parseNumber(s)
		return ok && p.op.compare(f, p.num)
	case opTime:
		t, ok := ParseTime(s)
		return ok && p.cmp.compare(p.part.of(t), p.num)
	case opExists, opNull, opFieldRef:
	}
	return false
}

// equalsNumber: a number in a rule equals the same text, and the same number in hexadecimal.
func (p *predicate) equalsNumber(s string) bool {
	if s == p.text {
		return true
	}
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		u, err := strconv.ParseUint(s[2:], 16, 64)
		return err == nil && strconv.FormatUint(u, 10) == p.text
	}
	return false
}

func (p *predicate) inNet(s string) bool {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return false
	}
	if p.net.Contains(a.WithZone("")) {
		return true
	}
	return a.Is4In6() && p.net.Contains(a.Unmap())
}

// parseNumber reads decimal and hexadecimal numbers.
func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 64 {
		return 0, false
	}
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		u, err := strconv.ParseUint(s[2:], 16, 64)
		return float64(u), err == nil
	}
	if c := s[len(s)-1]; c != '.' && (c < '0' || c > '9') {
		return 0, false // no Inf, NaN or hexadecimal floats
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// of takes the part out of a time, in the zone the time is written in: the
// specification asks for no conversion.
func (t timePart) of(at time.Time) float64 {
	switch t {
	case partMinute:
		return float64(at.Minute())
	case partHour:
		return float64(at.Hour())
	case partDay:
		return float64(at.Day())
	case partWeek:
		_, w := at.ISOWeek()
		return float64(w)
	case partMonth:
		return float64(at.Month())
	case partYear:
		return float64(at.Year())
	case noPart:
	}
	return -1
}

// ParseTime reads the ways in which logs write a time: RFC 3339 and its
// relatives with a blank or without a zone (taken as UTC), and Unix seconds,
// milliseconds or microseconds.
func ParseTime(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 8 || len(s) > 64 {
		return time.Time{}, false
	}
	for _, layout := range [...]string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999 MST", "2006-01-02T15:04Z07:00",
		"2006-01-02", time.RFC1123Z, time.RFC1123,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f > 1e8 && f < 1e17 {
		switch {
		case f > 1e14:
			return time.UnixMicro(int64(f)).UTC(), true
		case f > 1e11:
			return time.UnixMilli(int64(f)).UTC(), true
		}
		return time.UnixMicro(int64(f * 1e6)).UTC(), true
	}
	return time.Time{}, false
}

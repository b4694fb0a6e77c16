package eau

import (
	"strings"
)

// primitive is a data type that is written as a value.
type primitive int

const (
	primString primitive = iota + 1
	primCode
	primURI
	primCanonical
	primID
	primBoolean
	primDate
	primDateTime
	primInstant
	primDecimal
	primPositive
	primUnsigned
	primXHTML
)

func primitiveOf(typ string) primitive {
	switch typ {
	case "string", "markdown":
		return primString
	case "code":
		return primCode
	case "uri", "url":
		return primURI
	case "canonical":
		return primCanonical
	case "id":
		return primID
	case "boolean":
		return primBoolean
	case "date":
		return primDate
	case "dateTime":
		return primDateTime
	case "instant":
		return primInstant
	case "decimal":
		return primDecimal
	case "positiveInt":
		return primPositive
	case "unsignedInt":
		return primUnsigned
	case "xhtml":
		return primXHTML
	}
	return 0
}

// valid reports whether a value has the form of its type (FHIR R4, Data Types).
func (p primitive) valid(s string) bool {
	switch p {
	case primString:
		return saysSomething(s) // XML leaves no other control characters than white space
	case primCode:
		return validCode(s)
	case primURI, primCanonical:
		return s != "" && !hasSpace(s)
	case primID:
		return validID(s)
	case primBoolean:
		return s == "true" || s == "false"
	case primDate:
		return len(s) <= 10 && validDate(s)
	case primDateTime:
		if day, clock, timed := strings.Cut(s, "T"); timed {
			return len(day) == 10 && validDate(day) && validClock(clock)
		}
		return validDate(s)
	case primInstant:
		day, clock, timed := strings.Cut(s, "T")
		return timed && len(day) == 10 && validDate(day) && validClock(clock)
	case primDecimal:
		return validDecimal(s)
	case primPositive:
		return validDigits(s) && s != "0" && (s[0] != '0')
	case primUnsigned:
		return validDigits(s) && (s == "0" || s[0] != '0')
	case primXHTML:
	}
	return true
}

// saysSomething reports whether there is more than white space.
func saysSomething(s string) bool {
	for i := range len(s) {
		if !isSpace(s[i]) {
			return true
		}
	}
	return false
}

func hasSpace(s string) bool {
	for i := range len(s) {
		if isSpace(s[i]) {
			return true
		}
	}
	return false
}

// validCode accepts words with single blanks between them.
func validCode(s string) bool {
	blank := true // as if one stood in front
	for i := range len(s) {
		was := blank
		if blank = s[i] == ' '; blank && was || isSpace(s[i]) && !blank {
			return false
		}
	}
	return !blank
}

func validID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isWordByte(c) && c != '-' && c != '.' || c == '_' {
			return false
		}
	}
	return true
}

func validDigits(s string) bool {
	if s == "" || len(s) > 10 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func validDecimal(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, frac, dotted := strings.Cut(s, ".")
	return validDigits(whole) && (whole == "0" || whole[0] != '0') && (!dotted || validDigits(frac))
}

// validDate accepts YYYY, YYYY-MM and YYYY-MM-DD of the calendar.
func validDate(s string) bool {
	if len(s) != 4 && len(s) != 7 && len(s) != 10 || !validDigits(s[:4]) || s[:4] == "0000" {
		return false
	}
	if len(s) == 4 {
		return true
	}
	month, ok := twoDigits(s[5:7])
	if !ok || s[4] != '-' || month < 1 || month > 12 {
		return false
	}
	if len(s) == 7 {
		return true
	}
	day, ok := twoDigits(s[8:10])
	return ok && s[7] == '-' && day >= 1 && day <= daysIn(month, s[:4])
}

func twoDigits(s string) (int, bool) {
	if s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return 0, false
	}
	return int(s[0]-'0')*10 + int(s[1]-'0'), true
}

func daysIn(month int, year string) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		y := 0
		for i := range len(year) {
			y = y*10 + int(year[i]-'0')
		}
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// validClock accepts hh:mm:ss[.fraction] with Z or ±hh:mm.
func validClock(s string) bool {
	if len(s) < 9 || s[2] != ':' || s[5] != ':' {
		return false
	}
	h, okH := twoDigits(s[:2])
	m, okM := twoDigits(s[3:5])
	sec, okS := twoDigits(s[6:8])
	if !okH || !okM || !okS || h > 23 || m > 59 || sec > 60 {
		return false
	}
	rest := s[8:]
	if rest[0] == '.' {
		n := 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if n == 1 {
			return false
		}
		rest = rest[n:]
	}
	if rest == "Z" {
		return true
	}
	if len(rest) != 6 || rest[0] != '+' && rest[0] != '-' || rest[3] != ':' {
		return false
	}
	zh, okH := twoDigits(rest[1:3])
	zm, okM := twoDigits(rest[4:6])
	return okH && okM && zm <= 59 && (zh <= 13 || zh == 14 && zm == 0)
}

package catalogue

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Due is a dated duty of a service: a day on which it must have worked, such as
// sick pay at the month's end.
type Due struct {
	Name string  `json:"name"` // what must have happened by then, for people
	Rule DueRule `json:"rule"`
}

// DueRule says on which days a duty falls:
//
//	monatsende        the last day of each month
//	monatsende-bank   the last day of each month on which banks settle (TARGET)
//	quartalsende      the last day of March, June, September and December
//	tag-15            the 15th of each month, or its last day where it is shorter
//	2026-04-30        this day only
type DueRule string

// ParseDue reads "RULE: NAME", as in the column termine.
func ParseDue(s string) (Due, error) {
	rule, name, ok := strings.Cut(s, ":")
	d := Due{Name: strings.TrimSpace(name), Rule: DueRule(strings.TrimSpace(rule))}
	if !ok || d.Name == "" {
		return d, fmt.Errorf("%q is not RULE: NAME, such as monatsende: Krankengeld auszahlen", s)
	}
	return d, d.Rule.check()
}

// String is what ParseDue reads.
func (d Due) String() string { return string(d.Rule) + ": " + d.Name }

func (r DueRule) check() error {
	switch r {
	case "monatsende", "monatsende-bank", "quartalsende":
		return nil
	}
	if _, ok := r.day(); ok {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, string(r)); err == nil {
		return nil
	}
	return fmt.Errorf("rule %q is none of monatsende, monatsende-bank, quartalsende, tag-1 to tag-31, or a date such as 2026-04-30", r)
}

// day is N of tag-N.
func (r DueRule) day() (int, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(string(r), "tag-"))
	return n, err == nil && strings.HasPrefix(string(r), "tag-") && n >= 1 && n <= 31
}

// Next is the first day of the duty that is not over at from, as its first
// instant in from's location; ok is false when there is none any more.
func (d Due) Next(from time.Time) (day time.Time, ok bool) {
	y, m, n := from.Date()
	today := time.Date(y, m, n, 0, 0, 0, 0, from.Location())
	if fixed, err := time.ParseInLocation(time.DateOnly, string(d.Rule), from.Location()); err == nil {
		return fixed, !fixed.Before(today)
	}
	for i := range time.Month(13) {
		if day, ok := d.Rule.in(y, m+i, from.Location()); ok && !day.Before(today) {
			return day, true
		}
	}
	return time.Time{}, false
}

// in is the day of the duty in a month.
func (r DueRule) in(y int, m time.Month, zone *time.Location) (time.Time, bool) {
	last := time.Date(y, m+1, 0, 0, 0, 0, 0, zone)
	switch r {
	case "monatsende":
		return last, true
	case "monatsende-bank":
		for !settles(last) {
			last = last.AddDate(0, 0, -1)
		}
		return last, true
	case "quartalsende":
		return last, last.Month()%3 == 0
	}
	n, ok := r.day()
	return time.Date(y, m, min(n, last.Day()), 0, 0, 0, 0, zone), ok
}

// settles reports whether TARGET is open: not at weekends, on 1 January, Good
// Friday, Easter Monday, 1 May, 25 and 26 December (ECB, long-term calendar).
func settles(day time.Time) bool {
	switch day.Weekday() {
	case time.Saturday, time.Sunday:
		return false
	case time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday:
	}
	easter := easterSunday(day.Year(), day.Location())
	switch day.Format("01-02") {
	case "01-01", "05-01", "12-25", "12-26", easter.AddDate(0, 0, -2).Format("01-02"), easter.AddDate(0, 0, 1).Format("01-02"):
		return false
	}
	return true
}

// easterSunday follows the Gregorian reckoning (Meeus, Astronomical Algorithms, chapter 8).
func easterSunday(y int, zone *time.Location) time.Time {
	a, b, c := y%19, y/100, y%100
	h := (19*a + b - b/4 - (b-(b+8)/25+1)/3 + 15) % 30
	l := (32 + 2*(b%4) + 2*(c/4) - h - c%4) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return time.Date(y, time.Month(n/31), n%31+1, 0, 0, 0, 0, zone)
}

package sicknote

import "time"

// endOfNextWorkingDay is midnight after the next working day: Monday to Friday
// without the holidays that all Länder share. The day is t's own, in its location.
func endOfNextWorkingDay(t time.Time) time.Time {
	year, month, day := t.Date()
	for {
		day++
		d := time.Date(year, month, day, 0, 0, 0, 0, t.Location())
		if workingDay(d) {
			return d.AddDate(0, 0, 1)
		}
	}
}

func workingDay(d time.Time) bool {
	switch d.Weekday() {
	case time.Saturday, time.Sunday:
		return false
	case time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday:
	}
	switch d.Format("01-02") {
	case "01-01", "05-01", "10-03", "12-25", "12-26":
		return false
	}
	switch fromEaster := d.YearDay() - easter(d.Year(), d.Location()).YearDay(); fromEaster {
	case -2, 1, 39, 50: // Good Friday, Easter Monday, Ascension, Whit Monday
		return false
	}
	return true
}

// easter is Easter Sunday of the Gregorian calendar (Meeus, Jones and Butcher).
func easter(year int, loc *time.Location) time.Time {
	a, b, c := year%19, year/100, year%100
	h := (19*a + b - b/4 - (b-(b+8)/25+1)/3 + 15) % 30
	l := (32 + 2*(b%4) + 2*(c/4) - h - c%4) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return time.Date(year, time.Month(n/31), n%31+1, 0, 0, 0, 0, loc)
}

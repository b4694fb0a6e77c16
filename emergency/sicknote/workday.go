package sicknote

import (
	"time"

	"leitstand/catalogue"
)

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
	_, off := catalogue.Holiday(d, "")
	return !off
}

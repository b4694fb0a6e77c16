package catalogue_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
)

// TestHolidaysOfALand compares two years with what calendars print.
func TestHolidaysOfALand(t *testing.T) {
	shared2026 := []string{"2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-05-14", "2026-05-25", "2026-10-03", "2026-12-25", "2026-12-26"}
	for land, more := range map[catalogue.Land][]string{
		"":   nil,
		"HH": {"2026-10-31"},
		"NW": {"2026-06-04", "2026-11-01"},
		"BY": {"2026-01-06", "2026-06-04", "2026-08-15", "2026-11-01"},
		"SL": {"2026-06-04", "2026-08-15", "2026-11-01"},
		"SN": {"2026-10-31", "2026-11-18"},
		"BE": {"2026-03-08"},
		"MV": {"2026-03-08", "2026-10-31"},
		"BB": {"2026-04-05", "2026-05-24", "2026-10-31"},
		"TH": {"2026-09-20", "2026-10-31"},
		"ST": {"2026-01-06", "2026-10-31"},
	} {
		want := append(slices.Clone(shared2026), more...)
		slices.Sort(want)
		if diff := cmp.Diff(want, holidaysIn(2026, land)); diff != "" || land.Check() != nil {
			t.Errorf("%q (-want +got)\n%s %v", land, diff, land.Check())
		}
	}
	// 2024 is a leap year with an early Easter.
	want := []string{"2024-01-01", "2024-03-29", "2024-04-01", "2024-05-01", "2024-05-09", "2024-05-20", "2024-10-03", "2024-12-25", "2024-12-26"}
	if diff := cmp.Diff(want, holidaysIn(2024, "")); diff != "" {
		t.Errorf("2024 (-want +got)\n%s", diff)
	}
	for _, l := range catalogue.Lands() {
		if n := len(holidaysIn(2026, l)); n < 10 || n > 14 {
			t.Errorf("%s has %d holidays", l, n)
		}
	}
	if err := catalogue.Land("BAY").Check(); err == nil {
		t.Error("BAY is taken for a Land")
	}
}

func holidaysIn(year int, land catalogue.Land) []string {
	var out []string
	for d := time.Date(year, 1, 1, 12, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
		if name, ok := catalogue.Holiday(d, land); ok && name != "" {
			out = append(out, d.Format(time.DateOnly))
		}
	}
	return out
}

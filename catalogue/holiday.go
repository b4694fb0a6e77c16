package catalogue

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Land is one of the German Länder by the letters of ISO 3166-2:DE, such as "BY".
// The zero value stands for all of them: the holidays that they share.
type Land string

// Lands lists the Länder in the order of their letters.
func Lands() []Land {
	return []Land{"BB", "BE", "BW", "BY", "HB", "HE", "HH", "MV", "NI", "NW", "RP", "SH", "SL", "SN", "ST", "TH"}
}

// Check says what is wrong with a Land.
func (l Land) Check() error {
	if l == "" || slices.Contains(Lands(), l) {
		return nil
	}
	return fmt.Errorf("land %q: want the letters of ISO 3166-2, one of %v, or none for the holidays that all share", string(l), Lands())
}

// Holiday says whether a day is a public holiday in a Land, and its German name, as
// the laws of the Länder stand since 2023 (Frauentag in Mecklenburg-Vorpommern).
// Mariä Himmelfahrt counts in all of Bavaria, where it is one in most municipalities;
// what is one in a few only (Fronleichnam in Saxony and Thuringia, Friedensfest in
// Augsburg) does not. The day is day's own, in its location.
func Holiday(day time.Time, land Land) (name string, ok bool) {
	fixed := day.Format("01-02")
	fromEaster := day.YearDay() - easterSunday(day.Year(), day.Location()).YearDay()
	for _, h := range holidays() {
		if h.date != fixed && (h.date != "" || h.easter != fromEaster) {
			continue
		}
		if h.lands == "" || strings.Contains(h.lands, string(land)) && land != "" {
			return h.name, true
		}
	}
	if land == "SN" && day.Weekday() == time.Wednesday && fixed >= "11-16" && fixed <= "11-22" {
		return "Buß- und Bettag", true
	}
	return "", false
}

// holiday has a date (month and day), or stands so many days after Easter Sunday.
type holiday struct {
	name   string
	date   string
	easter int
	lands  string // empty: all
}

func holidays() []holiday {
	return []holiday{
		{"Neujahr", "01-01", 0, ""},
		{"Heilige Drei Könige", "01-06", 0, "BW BY ST"},
		{"Frauentag", "03-08", 0, "BE MV"},
		{"Karfreitag", "", -2, ""},
		{"Ostersonntag", "", 0, "BB"},
		{"Ostermontag", "", 1, ""},
		{"Tag der Arbeit", "05-01", 0, ""},
		{"Christi Himmelfahrt", "", 39, ""},
		{"Pfingstsonntag", "", 49, "BB"},
		{"Pfingstmontag", "", 50, ""},
		{"Fronleichnam", "", 60, "BW BY HE NW RP SL"},
		{"Mariä Himmelfahrt", "08-15", 0, "BY SL"},
		{"Weltkindertag", "09-20", 0, "TH"},
		{"Tag der Deutschen Einheit", "10-03", 0, ""},
		{"Reformationstag", "10-31", 0, "BB HB HH MV NI SH SN ST TH"},
		{"Allerheiligen", "11-01", 0, "BW BY NW RP SL"},
		{"1. Weihnachtstag", "12-25", 0, ""},
		{"2. Weihnachtstag", "12-26", 0, ""},
	}
}

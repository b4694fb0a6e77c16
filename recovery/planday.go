package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/pure/paper"
	"leitstand/pure/schedule"
)

// Day is what one team does on one day.
type Day struct {
	Date     string         `json:"date"` // 2006-01-02
	Team     string         `json:"team"`
	Name     string         `json:"name"`
	Plan     string         `json:"plan"`
	Of       []PlanPosition `json:"positions"`
	Exercise bool           `json:"exercise,omitempty"` // set by the room
}

// Days makes the day plans of a date, in the order of the teams; one team's if it is named.
// Teams without work have none.
func (x *Explainer) Days(date time.Time, team string) ([]Day, error) {
	y, m, d := date.In(x.zone).Date()
	begin := time.Date(y, m, d, 0, 0, 0, 0, x.zone)
	end := begin.AddDate(0, 0, 1)
	var out []Day
	known := team == ""
	for r, res := range x.p.Problem.Resources {
		known = known || res.ID == team
		if team != "" && res.ID != team || res.ID == teamClean {
			continue
		}
		day := Day{Date: begin.Format(time.DateOnly), Team: res.ID, Name: res.Label, Plan: x.p.ID}
		for i := range x.p.Tasks {
			m := &x.p.Problem.Tasks[i].Modes[x.p.Schedule.Mode[i]]
			needs := slices.ContainsFunc(m.Needs, func(n schedule.Need) bool { return n.Resource == r })
			if !needs || !x.p.At(x.p.Schedule.Finish[i]).After(begin) || !x.p.At(x.p.Schedule.Start[i]).Before(end) {
				continue
			}
			pos, err := x.position(i)
			if err != nil {
				return nil, err
			}
			day.Of = append(day.Of, pos)
		}
		slices.SortStableFunc(day.Of, func(a, b PlanPosition) int { return cmp.Or(a.Start.Compare(b.Start), a.End.Compare(b.End)) })
		if len(day.Of) > 0 {
			out = append(out, day)
		}
	}
	if !known {
		return nil, fmt.Errorf("team %q: %w", team, ErrNoTeam)
	}
	return out, nil
}

// Form is the day on paper: what to do when and why, with boxes to tick.
func (d *Day) Form(zone *time.Location) paper.Form {
	begin, err := time.ParseInLocation(time.DateOnly, d.Date, zone)
	if err != nil {
		begin = time.Time{} // made by Days; a foreign one shows no day
	}
	f := paper.Form{
		Title: "Tagesplan " + d.Name, Exercise: d.Exercise,
		Facts: [][2]string{
			{"Tag", [...]string{"Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"}[begin.Weekday()] + begin.Format(", 02.01.2006")},
			{"Plan", d.Plan},
			{"Positionen", fmt.Sprint(len(d.Of))},
		},
		Notes:  []string{"Zeiten sind geplant, nicht zugesagt. Was früher fertig ist, länger dauert oder scheitert, sofort dem Stab melden: Danach wird neu geplant."},
		Fields: []string{"Ausgeführt von", "Datum, Uhrzeit"},
		Foot:   "Leitstand · Wiederherstellung · " + d.Plan,
	}
	for _, p := range d.Of {
		f.Steps = append(f.Steps, fmt.Sprintf("%s bis %s   %s", Clock(p.Start.In(zone)), Clock(p.End.In(zone)), p.Label)+"\n"+strings.Join(p.Why, "; "))
	}
	return f
}

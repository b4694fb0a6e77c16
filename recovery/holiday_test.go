package recovery_test

import (
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/recovery"
)

// TestTeamsOfTheWeekRestOnHolidays asks who is there at noon on Corpus Christi:
// whoever works on Sundays always is, the delegates of the Kassen are where it is
// no holiday.
func TestTeamsOfTheWeekRestOnHolidays(t *testing.T) {
	c := few(catalogue.Example(1), 2)
	for land, open := range map[catalogue.Land]bool{"": true, "SH": true, "NW": false} {
		g := cutOff(c, "nord")
		g.Now = time.Date(2026, 6, 3, 6, 0, 0, 0, berlin)
		g.Terms.Land = land
		p, err := recovery.Make(t.Context(), g, recovery.Search{Schedules: 5})
		if err != nil {
			t.Fatal(err)
		}
		noon := p.Slot(time.Date(2026, 6, 4, 12, 0, 0, 0, berlin))
		there := map[string]int{}
		for _, r := range p.Problem.Resources {
			there[r.ID] = r.Capacity.At(noon)
		}
		if delegates := there["kasse-"+string(c.Kassen[0].ID)]; delegates > 0 != open || there["forensik"] == 0 || there["sachbearbeitung"] > 0 != open {
			t.Errorf("holidays of %q: at noon on 4 June there are %v", land, there)
		}
	}
}

package recovery

import (
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/pure/schedule"
)

// The last steps of a cell, and what it costs while it is away.

// joinWeight is the share of a cell's weight that its further sites count: they
// are wanted for safety, and nobody misses them.
const joinWeight = 0.05

// cell adds the way back of one cell: one site first, through technical test,
// business test, observation and switch-back; the other sites follow.
func (c *compiler) cell(p planCell) {
	t := Task{Subject: p.id(), Kasse: p.kasse.ID, Service: p.service.ID, Site: p.places[0].Site}
	first := string(p.places[0].ID)
	weight, _ := c.g.Terms.Priorities.weight(p.kasse, p.service)
	sc := schedule.Cell{ID: p.id(), Group: string(p.kasse.ID), Weight: weight, Curve: c.curve(p)}
	if p.others {
		sc.Initial = c.g.Terms.OtherSite
	}
	emergency := c.emergency(p, t, &sc)
	probe := c.node(first)
	if c.idle[first] {
		if probe >= 0 {
			sc.Levels = append(sc.Levels, schedule.Level{Task: probe, Reached: 1})
		}
	} else {
		c.chain(p, t, probe, emergency, &sc)
	}
	if weight > 0 && len(sc.Levels) > 0 && sc.Initial < 1 {
		c.d.Problem.Cells = append(c.d.Problem.Cells, sc)
	}
	c.joins(p, t, weight)
}

// chain adds the steps from the technical test to the worked-off backlog.
func (c *compiler) chain(p planCell, t Task, probe, emergency int, sc *schedule.Cell) {
	delegate := delegateOf(p.kasse.ID)
	t.Kind = Test
	test := c.add(t, []schedule.Mode{c.mode("", "test", delegate)})
	c.link(probe, test)
	c.fails(Test, test, probe)
	t.Kind = Observe
	watch := c.add(t, []schedule.Mode{{Duration: c.g.Terms.Observe}})
	c.link(test, watch)
	t.Kind = Switch
	back := c.add(t, []schedule.Mode{c.mode("", "switch", teamNet, delegate)})
	c.link(watch, back)
	if back < 0 {
		return
	}
	sc.Levels = append(sc.Levels, schedule.Level{Task: back, Reached: 1})
	if emergency < 0 {
		emergency = back
	}
	c.deadline(p, emergency)
	t.Kind = Backlog
	c.link(back, c.add(t, []schedule.Mode{c.backlog(p)}))
}

// emergency adds the start of emergency operation where there is one that has not begun.
func (c *compiler) emergency(p planCell, t Task, sc *schedule.Cell) int {
	level, ok := c.g.Terms.Emergency[p.service.ID]
	if !ok || level <= sc.Initial {
		return -1
	}
	for _, pl := range p.places {
		if c.g.Situation.Active[pl.ID] {
			sc.Initial = level
			return -1
		}
	}
	if c.g.Situation.Down[string(p.places[0].ID)].Trial || c.idle[string(p.places[0].ID)] {
		return -1 // back sooner
	}
	t.Kind = Emergency
	n := c.add(t, []schedule.Mode{c.mode("", "emergency", teamEmergency)})
	if n < 0 {
		sc.Initial = level // reported
		return -1
	}
	sc.Levels = append(sc.Levels, schedule.Level{Task: n, Reached: level})
	return n
}

// joins adds the further sites of a cell.
func (c *compiler) joins(p planCell, t Task, weight float64) {
	for _, pl := range p.places[1:] {
		probe := c.node(string(pl.ID))
		if c.idle[string(pl.ID)] {
			continue
		}
		t.Kind, t.Subject, t.Site = Join, string(pl.ID), pl.Site
		n := c.add(t, []schedule.Mode{c.mode("", "join", teamNet)})
		if n < 0 {
			continue
		}
		c.link(probe, n)
		if back, ok := c.index[string(Switch)+":"+p.id()]; ok {
			c.link(back, n)
		}
		if weight > 0 {
			c.d.Problem.Cells = append(c.d.Problem.Cells, schedule.Cell{
				ID: string(pl.ID), Group: string(p.kasse.ID), Weight: weight * joinWeight, Levels: []schedule.Level{{Task: n, Reached: 1}},
			})
		}
	}
}

// backlog is the work that had piled up when planning began: the longer away, the
// more. Plans made anew keep it, or else every day would move every such task.
func (c *compiler) backlog(p planCell) schedule.Mode {
	m := c.mode("", "backlog", teamClerks)
	days := max(1, min(10, int(c.g.Origin.Sub(p.since)/(24*time.Hour))))
	m.Low, m.Duration, m.High = min(maxHours, m.Low*days), min(maxHours, m.Duration*days), min(maxHours, m.High*days)
	return m
}

// curve makes an hour cost more once the longest tolerable time has passed: twice
// as much, and three times after twice that time.
func (c *compiler) curve(p planCell) []schedule.Rate {
	mtpd := c.g.Catalogue.MTPD(p.kasse.ID, p.service.ID)
	if mtpd <= 0 {
		return nil
	}
	out := []schedule.Rate{{From: 0, Rate: 1}}
	for k, at := range []time.Duration{mtpd, 2 * mtpd} {
		from, rate := c.slot(p.since.Add(at)), float64(k+2)
		if from <= 0 {
			out = []schedule.Rate{{From: 0, Rate: rate}}
		} else {
			out = append(out, schedule.Rate{From: from, Rate: rate})
		}
	}
	return out
}

// deadline puts the soonest hard date of a cell on the task that meets it.
func (c *compiler) deadline(p planCell, task int) {
	for _, d := range c.g.Terms.Deadlines {
		if d.Service != p.service.ID || d.Kasse != "" && d.Kasse != p.kasse.ID {
			continue
		}
		at := max(1, c.slot(d.At))
		if t := &c.d.Problem.Tasks[task]; t.Deadline == 0 || at < t.Deadline {
			t.Deadline = at
		}
	}
}

func (c *compiler) label(t Task) string {
	parts := []string{t.Kind.Word()}
	if s, ok := c.g.Catalogue.Service(t.Service); ok {
		parts = append(parts, s.Name)
	}
	if k, ok := c.g.Catalogue.Kasse(t.Kasse); ok {
		parts = append(parts, k.Name)
	}
	if m, ok := c.g.Catalogue.Component(catalogue.ComponentID(t.Subject)); ok {
		parts = append(parts, m.Name)
	}
	if s, ok := c.g.Catalogue.Site(t.Site); ok {
		parts = append(parts, s.Name)
	}
	return strings.Join(parts, " · ")
}

func delegateOf(k catalogue.KasseID) string { return "kasse-" + string(k) }

// teams makes the resources: those of the terms, and the delegates of each Kasse,
// who test in office hours.
func (c *compiler) teams() {
	slots := c.d.Problem.Horizon
	clock := make([]hour, slots)
	closed := map[string]bool{}
	for _, d := range c.g.Terms.Closed {
		closed[d] = true
	}
	shut := func(at time.Time) bool {
		date := at.Format(time.DateOnly)
		off, known := closed[date]
		if !known {
			_, off = catalogue.Holiday(at, c.g.Terms.Land)
			closed[date] = off
		}
		return off
	}
	zone := c.g.Zone
	if zone == nil {
		zone = time.UTC
	}
	for t := range clock {
		at := c.g.Origin.Add(time.Duration(t) * Slot).In(zone)
		day := '0' + rune(at.Weekday())
		if day == '0' || shut(at) {
			day = '7'
		}
		clock[t] = hour{day, at.Hour()}
	}
	add := func(id, name string, shifts []Shift) {
		c.team[id] = len(c.d.Problem.Resources)
		c.d.Problem.Resources = append(c.d.Problem.Resources, schedule.Resource{ID: id, Label: name, Capacity: calendar(clock, shifts)})
	}
	for _, t := range c.g.Terms.Teams {
		add(t.ID, t.Name, t.Shifts)
	}
	office := []Shift{{Days: "12345", From: 8, To: 17, People: c.g.Terms.Delegates}}
	same := calendar(clock, office)
	for _, k := range c.g.Catalogue.Kassen {
		id := delegateOf(k.ID)
		c.team[id] = len(c.d.Problem.Resources)
		c.d.Problem.Resources = append(c.d.Problem.Resources, schedule.Resource{ID: id, Label: "Fachtest " + k.Name, Capacity: slices.Clone(same)})
	}
}

// hour is an hour of the wall clock: '1' is Monday, and '7' a Sunday or a closed day.
type hour struct {
	day rune
	at  int
}

func calendar(clock []hour, shifts []Shift) schedule.Calendar {
	return schedule.Sampled(len(clock), func(slot int) int {
		n, h := 0, clock[slot]
		for _, s := range shifts {
			if h.at >= s.From && h.at < s.To && containsRune(s.Days, h.day) {
				n += s.People
			}
		}
		return n
	})
}

func containsRune(days string, d rune) bool {
	for _, r := range days {
		if r == d {
			return true
		}
	}
	return false
}

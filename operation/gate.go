package operation

import (
	"slices"
	"time"

	"leitstand/forensics"
)

func (c *EnterTrial) run(d *draft) error {
	if len(c.Nodes) == 1 {
		d.subject = c.Nodes[0]
	}
	var entering []int
	if err := d.each(c.Nodes, func(n int, t *Track, _ *Placement) error {
		if t.Regular != Rebuilding {
			return refuse(RuleGate, "%s ist %s: durch das Tor geht nur, was im Aufbau ist.", d.s.top.names[n], t.Regular.Word())
		}
		entering = append(entering, n)
		return nil
	}); err != nil {
		return err
	}
	rests, err := d.gate(entering)
	if err != nil {
		return err
	}
	subjects := make([]string, 0, len(entering))
	for i, n := range entering {
		t, p := d.take(n)
		d.enter(t, Trial)
		t.Passed, t.Rests, t.Cut, t.GateOnly = true, rests[i], nil, false
		subjects = append(subjects, d.s.top.subject[n])
		if p == nil {
			continue
		}
		p.Testers = slices.Clone(c.Testers)
		if p.Emergency == Active {
			continue
		}
		p.Starting = NotStarting
		if err := d.openRegular(p); err != nil {
			return err
		}
	}
	d.reconnected(subjects)
	return nil
}

// gate is rule 1 for nodes that enter together: valid clearances for each and
// for everything attached that its dependency formula leads to, rotated
// credentials, and the formula satisfied by things at least in trial. Those
// entering count as in trial, so members of one cycle may enter together.
// It returns the clearances that each rests on.
func (d *draft) gate(entering []int) ([][]string, error) {
	if !d.s.on(RuleGate) {
		return make([][]string, len(entering)), nil
	}
	top := d.s.top
	in := make(map[int]bool, len(entering))
	for _, n := range entering {
		in[n] = true
		if !top.known[n] {
			return nil, refuse(RuleGate, "%s steht nicht mehr im Katalog: worauf es beruht, ist unbekannt.", top.names[n])
		}
		if err := d.credentials(n); err != nil {
			return nil, err
		}
	}
	sound := make(map[int]bool)
	for _, n := range reach(entering, top.uses) {
		t := d.track(n)
		if !in[n] && (t == nil || !t.Regular.Connected()) {
			continue // off: nothing rests on it
		}
		if _, ok := d.s.cleared(n, d.at); !ok {
			return nil, refuse(RuleGate, "Für %s fehlt eine gültige Freigabe: prüfen und freigeben, oder abtrennen.", top.subject[n])
		}
		if !in[n] && t.Flag != nil {
			return nil, refuse(RuleRevocation, "%s muss selbst herunter: erst darüber entscheiden.", top.names[n])
		}
		sound[n] = true
	}
	d.s.settle(sound)
	rests := make([][]string, len(entering))
	for i, n := range entering {
		if !sound[n] {
			return nil, refuse(RuleGate, "%s braucht %s, und das ist noch nicht mindestens in Probe.", top.names[n], top.needs[n])
		}
		rests[i] = d.rests(n, in)
	}
	return rests, nil
}

// settle removes nodes whose formula does not hold among the rest, until none is
// left: the greatest set that holds itself up.
func (s *State) settle(sound map[int]bool) {
	up := func(name string) bool {
		n, ok := s.top.number[name]
		return ok && sound[n]
	}
	for changed := true; changed; {
		changed = false
		for n := range sound {
			if !s.top.needs[n].Holds(up) {
				delete(sound, n)
				changed = true
			}
		}
	}
}

// cleared finds the clearance that counts for a node's environment or the
// component: valid now, and granted after the last revocation that reached it.
func (s *State) cleared(n int, now time.Time) (string, bool) {
	subject := s.top.subject[n]
	kind := forensics.Environment
	if n >= len(s.placements) {
		kind = forensics.Component
	}
	found, granted, revoked := "", int64(0), int64(0)
	for _, id := range s.granted[subject] {
		c := s.clearances[id]
		if c.State == forensics.Revoked {
			revoked = max(revoked, c.Version)
		} else if c.Scope.Kind == kind && c.Scope.ID == subject && c.Valid(now) && c.Version > granted {
			found, granted = id, c.Version
		}
	}
	return found, granted > revoked
}

// credentials checks that those of a node's environment, or of the component,
// were changed after it was taken off: by the order of the records, and by the
// time that the proof states.
func (d *draft) credentials(n int) error {
	t, subject := d.track(n), d.s.top.subject[n]
	if t.Down == 0 {
		return nil // never off
	}
	for _, id := range d.s.rotated[subject] {
		if r := d.s.rotations[id]; r.Version > t.Down && !r.RotatedAt.Before(t.DownAt) {
			return nil
		}
	}
	return refuse(RuleGate, "Für %s fehlt der Nachweis, dass die Zugangsdaten nach dem %s gewechselt wurden.", subject, clock(t.DownAt))
}

// rests lists the clearances of everything attached that a node leads to.
func (d *draft) rests(n int, in map[int]bool) []string {
	var out []string
	for _, m := range reach([]int{n}, d.s.top.uses) {
		if t := d.track(m); in[m] || t != nil && t.Regular.Connected() {
			if id, ok := d.s.cleared(m, d.at); ok {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *Accept) run(d *draft) error {
	if c.To != Running && c.To != Limited {
		return refuse(RuleGate, "Abgenommen wird in den Betrieb oder den eingeschränkten Betrieb, nicht nach %q.", c.To)
	}
	if len(c.Nodes) == 1 {
		d.subject = c.Nodes[0]
	}
	return d.each(c.Nodes, func(n int, t *Track, p *Placement) error {
		name := d.s.top.names[n]
		switch {
		case t.Regular != Trial:
			return refuse(RuleGate, "%s ist %s: abgenommen wird nur aus dem Probebetrieb.", name, t.Regular.Word())
		case t.Flag != nil && d.s.on(RuleRevocation):
			return refuse(RuleRevocation, "%s muss herunter (Freigabe %s widerrufen): erst darüber entscheiden.", name, t.Flag.Clearance)
		case p != nil && p.Undoing != 0 && c.To != p.Undoing:
			return refuse(RuleGate, "%s kehrt nach dem Zurücknehmen in den früheren Zustand zurück: %s.", name, p.Undoing.Word())
		}
		d.enter(t, c.To)
		if p == nil {
			return nil
		}
		return c.switchBack(d, p)
	})
}

// switchBack gives the right to write back to the regular side: closing the
// journal and entering regular operation are one step.
func (c *Accept) switchBack(d *draft, p *Placement) error {
	p.Undoing = 0
	if c.To == Limited {
		p.Paths = slices.Clone(c.Paths)
	}
	switch p.Emergency {
	case None, Ready:
		p.Starting = NotStarting
		if p.Writing.Writer == RegularSide && !p.Writing.Closing {
			return nil
		}
		return d.openRegular(p)
	case Active:
		return refuse(RuleOneWriter, "Für %s nimmt der Notbetrieb noch an: erst die Übergabe beginnen.", p.ID)
	case Closed:
		return refuse(RuleOneWriter, "Für %s ist der Notbetrieb schon abgeschlossen.", p.ID)
	case HandingOver:
	}
	if d.s.on(RuleOneWriter) && p.Writing.Writer != Nobody {
		return refuse(RuleOneWriter, "Für %s ist noch nicht bestätigt, dass das Notbetriebsbuch nichts mehr annimmt.", p.ID)
	}
	i := slices.IndexFunc(c.Closed, func(r JournalReport) bool { return r.Placement == p.ID })
	if d.s.on(RuleNothingLost) {
		if i < 0 || c.Closed[i].State != JournalClosed {
			return refuse(RuleNothingLost, "Das Notbetriebsbuch von %s ist nicht geschlossen.", p.ID)
		}
		if err := d.books(p, c.Closed[i].Counts); err != nil {
			return err
		}
		if n := c.Closed[i].Open; n != 0 {
			return refuse(RuleNothingLost, "Im Notbetriebsbuch von %s sind noch %d Vorgänge offen: übergeben oder mit Grund und Verantwortlichem zurückweisen.", p.ID, n)
		}
	}
	if i >= 0 {
		p.Journal = c.Closed[i].Counts
	}
	p.Emergency, p.ObserveUntil = Closed, d.at.Add(d.s.settings.Observation)
	return d.openRegular(p)
}

func (c *Limit) run(d *draft) error {
	return d.each(c.Nodes, func(n int, t *Track, p *Placement) error {
		if err := d.inRegular(n, t); err != nil {
			return err
		}
		if t.Regular == Running {
			d.enter(t, Limited)
		}
		if p != nil {
			p.Paths = slices.Clone(c.Paths)
		}
		return nil
	})
}

func (c *Unlimit) run(d *draft) error {
	return d.each(c.Nodes, func(n int, t *Track, p *Placement) error {
		if err := d.inRegular(n, t); err != nil {
			return err
		}
		if t.Regular == Limited {
			d.enter(t, Running)
		}
		if p != nil {
			p.Paths = nil
		}
		return nil
	})
}

func (d *draft) inRegular(n int, t *Track) error {
	name := d.s.top.names[n]
	if t.Regular != Running && t.Regular != Limited {
		return refuse(RuleGate, "%s ist %s, nicht in Betrieb.", name, t.Regular.Word())
	}
	if t.Flag != nil && d.s.on(RuleRevocation) {
		return refuse(RuleRevocation, "%s muss herunter (Freigabe %s widerrufen): erst darüber entscheiden.", name, t.Flag.Clearance)
	}
	return nil
}

// clock writes a time for people.
func clock(t time.Time) string { return t.Format("02.01.2006 15:04 MST") }

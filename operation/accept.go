package operation

import "slices"

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

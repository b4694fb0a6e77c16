package operation

import (
	"slices"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
)

func (c *OrderCut) run(d *draft) error {
	if err := d.reason(); err != nil {
		return err
	}
	if c.Measure == "" {
		return refuse(RuleOnRecord, "Die Maßnahme braucht eine Kennung.")
	}
	d.subject = c.Measure
	for _, id := range c.Start {
		if !slices.Contains(c.Nodes, string(id)) {
			return refuse(RuleOneWriter, "Notbetrieb für %s ist verlangt, aber die Maßnahme nennt sie nicht.", id)
		}
	}
	if err := d.each(c.Nodes, func(n int, t *Track, p *Placement) error { return c.cut(d, n, t, p) }); err != nil {
		return err
	}
	return d.eachStart(c.Start, c.Immediate)
}

// cut sets one node to cut; one that is off already is left as it is.
func (c *OrderCut) cut(d *draft, n int, t *Track, p *Placement) error {
	if p != nil {
		if b, ok := c.Behaviour[p.ID]; ok {
			if _, err := chosen(b); err != nil {
				return err
			}
			p.Behaviour = b
		}
	}
	if !t.Regular.Connected() {
		d.skipped = append(d.skipped, d.s.top.names[n])
		return nil
	}
	by := c.act().By
	rec := &CutRecord{
		Measure: c.Measure, At: d.at, Version: d.version, Former: t.Regular, UndoUntil: d.at.Add(d.s.settings.UndoWindow),
		Lead: slices.ContainsFunc(by, func(p access.Person) bool { return p.Has(access.CrisisLead) }),
	}
	for _, person := range by {
		rec.By = append(rec.By, person.ID)
	}
	if c.Immediate {
		rec.ConfirmBy = d.at.Add(d.s.settings.ConfirmCut)
	}
	if t.Flag != nil {
		rec.Barred, t.Flag = t.Flag.Clearance, nil
	}
	if p != nil && p.Undoing != 0 {
		rec.Former, p.Undoing = p.Undoing, 0
	}
	t.Cut, t.GateOnly = rec, true
	d.enter(t, Cut)
	if p != nil {
		return d.takeOff(p)
	}
	return nil
}

// takeOff is what going off means for the emergency track and the right to
// write: an emergency path that was handing over takes in again, a time of
// observation is over, and the regular side is to be proven closed.
func (d *draft) takeOff(p *Placement) error {
	switch p.Emergency {
	case HandingOver:
		p.Emergency = Active
		if err := d.openEmergency(p); err != nil {
			return err
		}
	case Closed:
		p.Emergency, p.ObserveUntil = None, time.Time{}
	case None, Ready, Active:
	}
	if p.Writing.Writer == RegularSide {
		p.Writing.Closing = true
	}
	return nil
}

func (d *draft) eachStart(ids []catalogue.PlacementID, unconfirmed bool) error {
	if len(ids) == 0 {
		return nil
	}
	return d.eachPlacement(ids, func(p *Placement) error { return d.order(p, unconfirmed) })
}

func (c *ConfirmCut) run(d *draft) error {
	d.subject = c.Measure
	found := false
	for n := range d.s.top.names {
		old := d.s.track(n)
		if old == nil || old.Cut == nil || old.Cut.Measure != c.Measure || old.Cut.ConfirmBy.IsZero() {
			continue
		}
		found = true
		if err := c.second(d, old.Cut); err != nil {
			return err
		}
		t, p := d.take(n)
		rec := *old.Cut
		for _, person := range c.act().By {
			rec.By = append(slices.Clip(rec.By), person.ID)
			rec.Lead = rec.Lead || person.Has(access.CrisisLead)
		}
		rec.ConfirmBy, rec.Escalated = time.Time{}, false
		t.Cut = &rec
		if p != nil && p.Starting == Unconfirmed {
			p.Starting = Ordered
			if err := d.begin(p); err != nil {
				return err
			}
		}
	}
	if !found {
		return refuse(RuleOnRecord, "Zur Maßnahme %q wartet nichts auf Bestätigung.", c.Measure)
	}
	return nil
}

// second checks that with the confirming person the pair is one that might have
// ordered the cut together.
func (c *ConfirmCut) second(d *draft, rec *CutRecord) error {
	if !d.s.on(RuleTwoPeople) {
		return nil
	}
	for _, person := range c.act().By {
		if !slices.Contains(rec.By, person.ID) && (rec.Lead || person.Has(access.CrisisLead)) &&
			holds(person, []access.Role{access.CrisisLead, access.Operator}, "") {
			return nil
		}
	}
	return refuse(RuleTwoPeople, "Bestätigen muss eine andere Person als %s, und eine von beiden ist die Krisenleitung.", rec.By)
}

func (c *UndoCut) run(d *draft) error {
	if err := d.reason(); err != nil {
		return err
	}
	if len(c.Nodes) == 1 {
		d.subject = c.Nodes[0]
	}
	var subjects []string
	err := d.each(c.Nodes, func(n int, t *Track, p *Placement) error {
		subject := d.s.top.subject[n]
		if d.s.on(RuleGate) {
			if err := d.mayUndo(n, t, subject); err != nil {
				return err
			}
		} else if t.Cut == nil {
			return nil
		}
		subjects = append(subjects, subject)
		return d.undo(t, p)
	})
	d.reconnected(subjects)
	return err
}

// mayUndo is the one way back past the gate: only while nobody has learnt
// anything about the environment since, and nothing of it was reconnected.
func (d *draft) mayUndo(n int, t *Track, subject string) error {
	const gate = "Der Weg zurück führt durch das Tor: Wiederaufbau, Freigabe, Probebetrieb."
	name := d.s.top.names[n]
	if t.Regular != Cut || t.Cut == nil {
		return refuse(RuleGate, "%s ist nicht abgetrennt (%s): es gibt nichts zurückzunehmen.", name, t.Regular.Word())
	}
	if t.Cut.Barred != "" && d.s.on(RuleRevocation) {
		return refuse(RuleRevocation, "%s beruht auf der widerrufenen Freigabe %s. %s", name, t.Cut.Barred, gate)
	}
	if d.at.After(t.Cut.UndoUntil) {
		return refuse(RuleGate, "%s: die Frist zum Zurücknehmen endete am %s. %s", name, clock(t.Cut.UndoUntil), gate)
	}
	trail := d.s.trails[subject]
	if trail.Named > t.Cut.Version {
		return refuse(RuleGate, "%s wurde seit der Abtrennung genannt (%s). %s", subject, trail.NamedBy, gate)
	}
	if trail.Reconnected > t.Cut.Version {
		return refuse(RuleGate, "Von %s wurde seit der Abtrennung schon etwas wieder angeschlossen. %s", subject, gate)
	}
	return nil
}

// undo returns a node to its former state. What emergency operation took in is
// handed over first, as in trial.
func (d *draft) undo(t *Track, p *Placement) error {
	former := t.Cut.Former
	t.Cut, t.GateOnly = nil, false
	if p == nil {
		d.enter(t, former)
		return nil
	}
	p.Starting = NotStarting
	if p.Emergency == Active {
		if former != Trial {
			p.Undoing = former
		}
		d.enter(t, Trial)
		return nil
	}
	d.enter(t, former)
	return d.openRegular(p)
}

// reconnected remembers that something of the subjects is back.
func (d *draft) reconnected(subjects []string) {
	for _, s := range subjects {
		t := d.trail(s)
		t.Reconnected = d.version
		d.setTrail(t)
	}
}

func (c *ObserveFailure) run(d *draft) error {
	if len(c.Nodes) == 1 {
		d.subject = c.Nodes[0]
	}
	return d.each(c.Nodes, func(_ int, t *Track, p *Placement) error {
		if t.Regular == Failed {
			t.Confirmed = d.at
			return nil
		}
		// What failed while it was through the gate, flagged or off does not
		// come back by ruling out an attack: that would be a way around the gate.
		t.GateOnly = t.GateOnly || t.Flag != nil || t.Regular != Running && t.Regular != Limited
		t.Flag = nil
		d.enter(t, Failed)
		if p == nil {
			return nil
		}
		p.Undoing = 0
		return d.takeOff(p)
	})
}

func (c *RuleOutAttack) run(d *draft) error {
	if err := d.reason(); err != nil {
		return err
	}
	if c.Cause == "" && d.s.on(RuleOnRecord) {
		return refuse(RuleOnRecord, "Es fehlt die nachgewiesene Ursache.")
	}
	d.data["cause"] = c.Cause
	var subjects []string
	err := d.each(c.Nodes, func(n int, t *Track, p *Placement) error {
		name := d.s.top.names[n]
		if t.Regular != Failed {
			return refuse(RuleGate, "%s ist nicht ausgefallen (%s).", name, t.Regular.Word())
		}
		if t.GateOnly && d.s.on(RuleGate) {
			return refuse(RuleGate, "%s war schon abgetrennt, im Aufbau oder in Probe: zurück geht es nur durch das Tor.", name)
		}
		if p != nil && p.Emergency == Active && d.s.on(RuleOneWriter) {
			return refuse(RuleOneWriter, "Für %s läuft der Notbetrieb: zurück geht es über Wiederaufbau, Probebetrieb und Übergabe.", name)
		}
		subjects = append(subjects, d.s.top.subject[n])
		d.enter(t, Running)
		if p == nil {
			return nil
		}
		p.Starting = NotStarting
		return d.openRegular(p)
	})
	d.reconnected(subjects)
	return err
}

func (c *BeginRebuild) run(d *draft) error {
	if len(c.Nodes) == 1 {
		d.subject = c.Nodes[0]
	}
	return d.each(c.Nodes, func(n int, t *Track, _ *Placement) error {
		if t.Regular != Cut && t.Regular != Failed {
			return refuse(RuleGate, "%s ist %s: wieder aufgebaut wird, was abgetrennt oder ausgefallen ist.",
				d.s.top.names[n], t.Regular.Word())
		}
		d.enter(t, Rebuilding)
		return nil
	})
}

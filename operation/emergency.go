package operation

import (
	"slices"
	"time"

	"leitstand/catalogue"
)

func (c *PrepareEmergency) run(d *draft) error {
	return d.eachPlacement(c.Placements, func(p *Placement) error {
		if p.Emergency != None {
			return refuse(RuleOneWriter, "%s: vorbereitet wird, wo kein Notbetrieb ist (jetzt: %s).", p.ID, p.Emergency.Word())
		}
		p.Emergency = Ready
		return nil
	})
}

func (c *StartEmergency) run(d *draft) error {
	return d.eachPlacement(c.Placements, func(p *Placement) error { return d.order(p, false) })
}

// order orders emergency operation for a placement. It begins at once where the
// regular side is proven closed.
func (d *draft) order(p *Placement, unconfirmed bool) error {
	if p.Emergency == Active {
		d.skipped = append(d.skipped, string(p.ID))
		return nil
	}
	if p.Emergency != Ready {
		return refuse(RuleOneWriter, "%s: der Notbetrieb ist nicht vorbereitet (%s). Erst vorbereiten, oder ohne Start anordnen.",
			p.ID, p.Emergency.Word())
	}
	if d.s.on(RuleOneWriter) && (p.Regular == Running || p.Regular == Limited) {
		return refuse(RuleOneWriter, "%s läuft im Regelbetrieb: Notbetrieb dazu wären zwei Schreiber. Erst abtrennen.", p.ID)
	}
	if p.Writing.Writer == RegularSide {
		p.Writing.Closing = true // testers in trial stop as well
	}
	switch {
	case !unconfirmed:
		p.Starting = Ordered
	case p.Starting == NotStarting:
		p.Starting = Unconfirmed
	}
	return d.begin(p)
}

// begin starts what was ordered, if nothing is missing any more.
func (d *draft) begin(p *Placement) error {
	if p.Starting != Ordered {
		return nil
	}
	if p.Writing.Writer != Nobody && d.s.on(RuleOneWriter) {
		return nil // waits for the proof that the regular side is closed
	}
	p.Starting, p.Emergency = NotStarting, Active
	return d.openEmergency(p)
}

// openEmergency gives the right to write to the emergency side, under a new epoch.
func (d *draft) openEmergency(p *Placement) error {
	if p.Writing.Writer == RegularSide && d.s.on(RuleOneWriter) {
		return refuse(RuleOneWriter, "Für %s darf noch der Regelbetrieb schreiben: erst nachweisen, dass er zu ist.", p.ID)
	}
	p.Writing.Writer, p.Writing.Closing = EmergencySide, false
	p.Writing.Epoch++
	p.Journal.State, p.Journal.Epoch = JournalOpen, p.Writing.Epoch
	d.tell(p, JournalOpen)
	return nil
}

// openRegular gives the right to write to the regular side, under a new epoch.
func (d *draft) openRegular(p *Placement) error {
	if p.Writing.Writer == EmergencySide && d.s.on(RuleOneWriter) {
		return refuse(RuleOneWriter, "Für %s darf noch der Notbetrieb schreiben: erst sein Buch schließen.", p.ID)
	}
	p.Writing.Writer, p.Writing.Closing = RegularSide, false
	p.Writing.Epoch++
	return nil
}

// tell notes what the journal has to do after the commit; the last word counts.
func (d *draft) tell(p *Placement, s JournalState) {
	d.orders = slices.DeleteFunc(d.orders, func(o JournalOrder) bool { return o.Placement == p.ID })
	d.orders = append(d.orders, JournalOrder{Placement: p.ID, State: s, Epoch: p.Journal.Epoch, At: d.at})
}

func (c *ReportClosed) run(d *draft) error {
	d.data["proof"] = c.Proof
	return d.eachPlacement(c.Placements, func(p *Placement) error {
		w := &p.Writing
		if w.Writer == Nobody {
			return nil
		}
		if w.Writer != RegularSide || !w.Closing {
			return refuse(RuleOneWriter, "%s: der Regelbetrieb soll gar nicht zu sein (%s).", p.ID, p.Regular.Word())
		}
		proof := c.Proof
		if d.s.on(RuleOneWriter) {
			if err := d.believe(p, &proof); err != nil {
				return err
			}
		}
		w.Writer, w.Closing, w.Proof = Nobody, false, &proof
		return d.begin(p)
	})
}

// believe checks a proof: a probe with its record, or the word of every gateway
// that serves the placement about at least the door that closed.
func (d *draft) believe(p *Placement, proof *Proof) error {
	if proof.At.IsZero() {
		proof.At = d.at
	}
	switch proof.Kind {
	case ByProbe:
		if proof.Ref == "" {
			return refuse(RuleOneWriter, "%s: der Nachweis nennt keine Probe.", p.ID)
		}
		return nil
	case ByDoors:
	case ByJournal:
		return refuse(RuleOneWriter, "%s: ein Notbetriebsbuch beweist nichts über den Regelbetrieb.", p.ID)
	default:
		return refuse(RuleOneWriter, "%s: Nachweis %q ist keiner von probe, doors.", p.ID, proof.Kind)
	}
	door := d.s.doors[d.s.top.number[string(p.ID)]]
	standing := 0
	for _, g := range sorted(d.s.gateways) {
		if g.Retired || len(g.Services) > 0 && !slices.Contains(g.Services, p.Service) {
			continue
		}
		standing++
		i := slices.IndexFunc(proof.Nodes, func(a Ack) bool { return a.Node == g.Node })
		if i >= 0 && (proof.Nodes[i].Door >= door.Version || ended(proof.Nodes[i], d)) {
			continue
		}
		return refuse(RuleOneWriter, "%s: Zugang %q hat die geschlossene Tür (Stand %d) nicht bestätigt, und seine Frist läuft noch.",
			p.ID, g.Node, door.Version)
	}
	if standing == 0 {
		return refuse(RuleOneWriter, "%s: kein Zugang ist angemeldet; es braucht eine Probe von außen.", p.ID)
	}
	return nil
}

func ended(a Ack, d *draft) bool { return !a.LeaseEnded.IsZero() && !a.LeaseEnded.After(d.at) }

func (c *ReportJournal) run(d *draft) error {
	if len(c.Reports) == 0 {
		return refuse(RuleOnRecord, "Es ist nichts genannt.")
	}
	if len(c.Reports) == 1 {
		d.subject = string(c.Reports[0].Placement)
	}
	for _, r := range c.Reports {
		err := d.eachPlacement([]catalogue.PlacementID{r.Placement}, func(p *Placement) error { return d.report(p, r.Counts) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) report(p *Placement, r Counts) error {
	if p.Emergency != Active && p.Emergency != HandingOver {
		return refuse(RuleNothingLost, "%s: es läuft kein Notbetrieb, dessen Buch zählt (%s).", p.ID, p.Emergency.Word())
	}
	if r.Epoch != p.Journal.Epoch {
		return refuse(RuleOneWriter, "%s: das Buch meldet Epoche %d, gültig ist %d.", p.ID, r.Epoch, p.Journal.Epoch)
	}
	if (p.Emergency == Active) != (r.State == JournalOpen) || r.State == JournalNone {
		return refuse(RuleOneWriter, "%s: das Buch meldet %q, der Raum sagt %s.", p.ID, r.State, p.Emergency.Word())
	}
	if d.s.on(RuleNothingLost) {
		if err := d.books(p, r); err != nil {
			return err
		}
	}
	p.Journal = r
	if w := &p.Writing; p.Emergency == HandingOver && w.Writer == EmergencySide {
		w.Writer, w.Closing = Nobody, false
		w.Proof = &Proof{Kind: ByJournal, At: d.at}
	}
	return nil
}

// books is rule 3 on a journal's numbers: they add up, nothing that was taken
// has vanished, and a journal that takes in nothing has taken in nothing.
func (d *draft) books(p *Placement, r Counts) error {
	old := p.Journal
	switch {
	case r.Epoch != old.Epoch:
		return refuse(RuleOneWriter, "%s: das Buch meldet Epoche %d, gültig ist %d.", p.ID, r.Epoch, old.Epoch)
	case !r.Balanced():
		return refuse(RuleNothingLost, "%s: die Zählung geht nicht auf: %d angenommen, %d übergeben, %d zurückgewiesen, %d offen.",
			p.ID, r.Accepted, r.HandedOver, r.Rejected, r.Open)
	case r.Taken < old.Taken:
		return refuse(RuleNothingLost, "%s: das Buch zählt %d Eingänge, zuletzt waren es %d: etwas ist verloren.", p.ID, r.Taken, old.Taken)
	case old.State != JournalOpen && old.State != JournalNone && r.Taken != old.Taken:
		return refuse(RuleNothingLost, "%s: das Buch nimmt nichts mehr an und zählt doch %d statt %d Eingänge.", p.ID, r.Taken, old.Taken)
	}
	return nil
}

func (c *BeginHandover) run(d *draft) error {
	return d.eachPlacement(c.Placements, func(p *Placement) error {
		if p.Emergency != Active {
			return refuse(RuleOneWriter, "%s: übergeben wird aus laufendem Notbetrieb (jetzt: %s).", p.ID, p.Emergency.Word())
		}
		if p.Regular != Trial {
			return refuse(RuleOneWriter, "%s ist %s: es gibt nichts, wohin übergeben werden kann. Erst in den Probebetrieb.",
				p.ID, p.Regular.Word())
		}
		if p.Flag != nil && d.s.on(RuleRevocation) {
			return refuse(RuleRevocation, "%s muss herunter (Freigabe %s widerrufen): erst darüber entscheiden.", p.ID, p.Flag.Clearance)
		}
		p.Emergency, p.Writing.Closing = HandingOver, true
		d.tell(p, JournalDraining)
		return nil
	})
}

func (c *ReturnToEmergency) run(d *draft) error {
	return d.eachPlacement(c.Placements, func(p *Placement) error {
		if p.Emergency != HandingOver {
			return refuse(RuleOneWriter, "%s: zurück in den Notbetrieb geht es nur aus der Übergabe (jetzt: %s).", p.ID, p.Emergency.Word())
		}
		p.Emergency = Active
		return d.openEmergency(p)
	})
}

func (c *EndObservation) run(d *draft) error {
	return d.eachPlacement(c.Placements, func(p *Placement) error {
		if p.Emergency != Closed {
			return refuse(RuleNothingLost, "%s: es läuft keine Beobachtung (%s).", p.ID, p.Emergency.Word())
		}
		if d.at.Before(p.ObserveUntil) && d.s.on(RuleNothingLost) {
			return refuse(RuleNothingLost, "%s wird bis %s beobachtet.", p.ID, clock(p.ObserveUntil))
		}
		p.Emergency, p.ObserveUntil = None, time.Time{}
		return nil
	})
}

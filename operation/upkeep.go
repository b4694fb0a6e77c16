package operation

import (
	"slices"
	"strings"
	"time"

	"leitstand/forensics"
)

func (c *SetOwner) run(d *draft) error {
	if strings.TrimSpace(c.Owner) == "" && d.s.on(RuleComplete) {
		return refuse(RuleComplete, "Jede Platzierung braucht einen Verantwortlichen.")
	}
	return d.each(c.Nodes, func(_ int, t *Track, _ *Placement) error {
		t.Owner = c.Owner
		return nil
	})
}

func (c *ConfirmState) run(d *draft) error {
	return d.each(c.Nodes, func(n int, t *Track, _ *Placement) error {
		if c.Saw != 0 && c.Saw != t.Regular && d.s.on(RuleComplete) {
			return refuse(RuleComplete, "%s steht auf %s, gesehen wurde %s: Ausfall melden, abtrennen oder nachsehen.",
				d.s.top.names[n], t.Regular.Word(), c.Saw.Word())
		}
		t.Confirmed = d.at
		return nil
	})
}

func (c *SetBehaviour) run(d *draft) error {
	if _, err := chosen(c.Behaviour); err != nil {
		return err
	}
	return d.eachPlacement(c.Placements, func(p *Placement) error {
		p.Behaviour = c.Behaviour
		return nil
	})
}

func (c *RegisterGateway) run(d *draft) error {
	if c.Node == "" {
		return refuse(RuleComplete, "Der Zugang braucht einen Namen.")
	}
	old, ok := d.s.gateways[c.Node]
	if ok && old.Retired {
		return refuse(RuleOneWriter, "Der Zugang %q ist außer Dienst: einen neuen Namen verwenden.", c.Node)
	}
	if ok && slices.Equal(old.Services, c.Services) {
		return nil
	}
	d.subject = c.Node
	d.gateways = append(d.gateways, Gateway{Node: c.Node, Services: slices.Clone(c.Services)})
	return nil
}

func (c *RetireGateway) run(d *draft) error {
	old, ok := d.s.gateways[c.Node]
	if !ok || old.Retired {
		return refuse(RuleOneWriter, "Ein Zugang %q steht an keiner Tür.", c.Node)
	}
	d.subject = c.Node
	old.Retired = true
	d.gateways = append(d.gateways, old)
	return nil
}

func (c *Adopt) run(d *draft) error {
	for n := range d.s.top.names {
		if d.s.track(n) != nil {
			continue
		}
		t := Track{Regular: Running, Since: d.at, Owner: c.Owner, Confirmed: d.at}
		if o, ok := c.Owners[d.s.top.names[n]]; ok {
			t.Owner = o
		}
		if strings.TrimSpace(t.Owner) == "" && d.s.on(RuleComplete) {
			return refuse(RuleComplete, "%s braucht einen Verantwortlichen.", d.s.top.names[n])
		}
		if n >= len(d.s.placements) {
			part := d.s.top.parts[n-len(d.s.placements)]
			d.components[n] = &Component{ID: part.ID, Site: part.Site, Track: t}
			continue
		}
		place := d.s.top.places[n]
		d.placements[n] = &Placement{
			ID: place.ID, Kasse: place.Kasse, Service: place.Service, Site: place.Site, Environment: place.Environment,
			Track: t, Emergency: None, Behaviour: d.s.top.choice[place.Service],
			Writing: Writing{Writer: RegularSide, Epoch: 1},
		}
	}
	return nil
}

func (c *Tick) run(d *draft) error {
	for n := range d.s.top.names {
		old := d.s.track(n)
		if old == nil {
			continue
		}
		if f := old.Flag; f != nil && !f.Escalated && !d.at.Before(f.By) {
			t, _ := d.take(n)
			flag := *f
			flag.Escalated = true
			t.Flag = &flag
		}
		if r := old.Cut; r != nil && !r.Escalated && !r.ConfirmBy.IsZero() && !d.at.Before(r.ConfirmBy) {
			t, _ := d.take(n)
			rec := *r
			rec.Escalated = true
			t.Cut = &rec
		}
	}
	for _, x := range d.s.clearances {
		if warned, news := x.Warn(d.at); news {
			d.clearances[x.ID] = warned
		}
	}
	return nil
}

// Due is when [Tick] will next have something to say; zero: not before something
// else changes.
func (s *State) Due() (next time.Time) {
	take := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for n := range s.top.names {
		t := s.track(n)
		if t == nil {
			continue
		}
		if t.Flag != nil && !t.Flag.Escalated {
			take(t.Flag.By)
		}
		if t.Cut != nil && !t.Cut.Escalated {
			take(t.Cut.ConfirmBy)
		}
	}
	for _, c := range s.clearances {
		if c.State == forensics.Granted {
			take(c.Until)
		}
	}
	return next
}

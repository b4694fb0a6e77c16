package operation_test

import (
	"strings"

	"leitstand/forensics"
	"leitstand/operation"
)

// follow sets the model to what the state says, so that a generator can go by it
// where the model does not judge.
func (m *model) follow(s *operation.State) {
	m.version = int(s.Version())
	for _, p := range s.Placements() {
		n := m.node(string(p.ID))
		n.follow(&p.Track)
		n.em, n.writer, n.epoch, n.closing = p.Emergency.String(), string(p.Writing.Writer), int(p.Writing.Epoch), p.Writing.Closing
		n.starting, n.behaviour, n.book, n.observe = string(p.Starting), p.Behaviour.String(), p.Journal, p.ObserveUntil
		n.undo = ""
		if p.Undoing != 0 {
			n.undo = p.Undoing.String()
		}
		d, _ := s.Door(p.ID)
		n.doorVersion = int(d.Version)
		m.set(string(p.ID), n)
	}
	for _, c := range s.Components() {
		n := m.node(string(c.ID))
		n.follow(&c.Track)
		m.set(string(c.ID), n)
	}
	m.clearances = nil
	for _, c := range s.Clearances() {
		x := mclear{
			id: c.ID, about: c.Subjects(), from: c.From, until: c.Until, granted: int(c.Version), touched: int(c.Version),
			revoked: c.State == forensics.Revoked, warned: c.State == forensics.Warned,
		}
		if c.Scope.Kind == forensics.Environment || c.Scope.Kind == forensics.Component {
			x.subject = c.Scope.ID
		}
		m.clearances = append(m.clearances, x)
	}
	m.rotations = nil
	for _, r := range s.Rotations() {
		m.rotations = append(m.rotations, mrotation{about: r.Subjects(), at: r.RotatedAt, version: int(r.Version)})
	}
	for _, t := range s.Trails() {
		m.named[t.Subject], m.back[t.Subject] = int(t.Named), int(t.Reconnected)
	}
	for _, g := range s.Gateways() {
		m.gateways[g.Node] = mgateway{services: services(g.Services), retired: g.Retired}
	}
}

func (n *mnode) follow(t *operation.Track) {
	n.reg, n.owner, n.confirmed, n.gateOnly, n.passed = t.Regular.String(), t.Owner, t.Confirmed, t.GateOnly, t.Passed
	n.down, n.downAt = int(t.Down), t.DownAt
	n.flagged, n.flagOf = t.Flag != nil, ""
	if f := t.Flag; f != nil {
		n.flagOf, n.flagBy, n.flagTold = f.Clearance, f.By, f.Escalated
	}
	n.cut = mcut{}
	if c := t.Cut; c != nil {
		n.cut = mcut{
			set: true, lead: c.Lead, told: c.Escalated, by: " " + strings.Join(c.By, " "), measure: c.Measure, version: int(c.Version),
			former: c.Former.String(), until: c.UndoUntil, confirmBy: c.ConfirmBy, barred: c.Barred,
		}
	}
}

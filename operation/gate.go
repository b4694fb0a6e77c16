package operation

import (
	"fmt"
	"slices"
	"strings"
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

// Gap is one thing that the gate still misses.
type Gap struct {
	Rule    Rule    `json:"rule"`
	Kind    GapKind `json:"kind"`
	Subject string  `json:"subject"` // what it is about: environment, component or node
	Text    string  `json:"text"`
}

// GapKind is what kind of thing is missing.
type GapKind string

// The kinds of gaps.
const (
	GapClearance  GapKind = "clearance"  // no valid clearance newer than every revocation
	GapRotation   GapKind = "rotation"   // credentials not changed since it was taken off
	GapDependency GapKind = "dependency" // what it needs is not yet in trial
	GapFlag       GapKind = "flag"       // what it rests on must go down itself
	GapCatalogue  GapKind = "catalogue"  // nobody knows what it rests on
)

// Gaps lists everything that nodes miss to pass the gate together, in a stable
// order, each once. None means that [EnterTrial] passes the gate; whether the nodes are in
// a state to enter, and who may decide it, is another question.
func (s *State) Gaps(nodes []string, now time.Time) ([]Gap, error) {
	d := &draft{s: s, at: now}
	var entering []int
	for _, name := range nodes {
		n, ok := s.top.number[name]
		if !ok || s.track(n) == nil {
			return nil, refuse(RuleComplete, "%q hat keinen Zustand in diesem Raum.", name)
		}
		entering = append(entering, n)
	}
	return d.gaps(entering), nil
}

// gate refuses nodes that enter together and miss something. It returns the
// clearances that each rests on.
func (d *draft) gate(entering []int) ([][]string, error) {
	rests := make([][]string, len(entering))
	if !d.s.on(RuleGate) {
		return rests, nil
	}
	if gaps := d.gaps(entering); len(gaps) > 0 {
		texts := make([]string, 0, len(gaps))
		for _, g := range gaps {
			texts = append(texts, g.Text)
		}
		return nil, refuse(gaps[0].Rule, "%s", strings.Join(texts, " "))
	}
	in := make(map[int]bool, len(entering))
	for _, n := range entering {
		in[n] = true
	}
	for i, n := range entering {
		rests[i] = d.rests(n, in)
	}
	return rests, nil
}

// gaps is rule 1 for nodes that enter together: valid clearances for each and
// for everything attached that its dependency formula leads to, rotated
// credentials, and the formula satisfied by things at least in trial. Those
// entering count as in trial, so members of one cycle may enter together.
func (d *draft) gaps(entering []int) []Gap {
	top := d.s.top
	c := gapCollector{seen: map[string]bool{}}
	in := make(map[int]bool, len(entering))
	for _, n := range entering {
		in[n] = true
		if !top.known[n] {
			c.add(RuleGate, GapCatalogue, top.names[n], "%s steht nicht mehr im Katalog: worauf es beruht, ist unbekannt.", top.names[n])
		}
		d.credentials(&c, n)
	}
	sound := make(map[int]bool)
	for _, n := range reach(entering, top.uses) {
		t := d.track(n)
		if !in[n] && (t == nil || !t.Regular.Connected()) {
			continue // off: nothing rests on it
		}
		sound[n] = true // what it lacks is named here once, not again by what needs it
		if _, ok := d.s.cleared(n, d.at); !ok {
			c.add(RuleGate, GapClearance, top.subject[n], "Für %s fehlt eine gültige Freigabe: prüfen und freigeben, oder abtrennen.", top.subject[n])
		}
		if !in[n] && t.Flag != nil {
			c.add(RuleRevocation, GapFlag, top.names[n], "%s muss selbst herunter: erst darüber entscheiden.", top.names[n])
		}
	}
	d.s.settle(sound)
	for _, n := range entering {
		if !sound[n] {
			c.add(RuleGate, GapDependency, top.names[n], "%s braucht %s, und das ist noch nicht mindestens in Probe.", top.names[n], top.needs[n])
		}
	}
	return c.gaps
}

type gapCollector struct {
	gaps []Gap
	seen map[string]bool
}

func (c *gapCollector) add(r Rule, kind GapKind, subject, format string, args ...any) {
	if key := string(kind) + " " + subject; !c.seen[key] {
		c.seen[key] = true
		c.gaps = append(c.gaps, Gap{Rule: r, Kind: kind, Subject: subject, Text: fmt.Sprintf(format, args...)})
	}
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
func (d *draft) credentials(c *gapCollector, n int) {
	t, subject := d.track(n), d.s.top.subject[n]
	if t.Down == 0 {
		return // never off
	}
	for _, id := range d.s.rotated[subject] {
		if r := d.s.rotations[id]; r.Version > t.Down && !r.RotatedAt.Before(t.DownAt) {
			return
		}
	}
	c.add(RuleGate, GapRotation, subject,
		"Für %s fehlt der Nachweis, dass die Zugangsdaten nach dem %s gewechselt wurden.", subject, clock(t.DownAt))
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

// clock writes a time for people.
func clock(t time.Time) string { return t.Format("02.01.2006 15:04 MST") }

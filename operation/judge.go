package operation

import (
	"fmt"
	"slices"

	"leitstand/access"
	"leitstand/forensics"
)

func (c *GrantClearance) run(d *draft) error {
	if err := d.known(c.Scope, c.Covers); err != nil {
		return err
	}
	examiner, second := c.signers()
	id := nextID("F", len(d.s.clearances))
	x, err := forensics.Grant(d.at, id, c.Application, examiner, second)
	if err != nil {
		return fmt.Errorf("granting a clearance: %w", err)
	}
	d.subject = id
	d.clearances[id] = x
	return nil
}

// signers picks the examiner and another person.
func (c *GrantClearance) signers() (examiner, second string) {
	by := c.act().By
	i := max(0, slices.IndexFunc(by, func(p access.Person) bool { return p.Has(access.Examiner) }))
	for j, p := range by {
		if j != i && p.ID != by[i].ID {
			return by[i].ID, p.ID
		}
	}
	if len(by) > 0 {
		return by[i].ID, by[i].ID
	}
	return "", ""
}

// known refuses environments and components that nobody has heard of: a
// clearance with a slip of the pen would be relied on by nobody.
func (d *draft) known(scope forensics.Scope, covers []string) error {
	subjects := covers
	if scope.Kind == forensics.Environment || scope.Kind == forensics.Component {
		subjects = append([]string{scope.ID}, covers...)
	}
	for _, s := range subjects {
		if d.s.top.about(s) == nil {
			return refuse(RuleComplete, "%q ist weder eine Kassenumgebung noch eine Komponente dieses Raums.", s)
		}
	}
	return nil
}

func nextID(prefix string, have int) string { return fmt.Sprintf("%s-%04d", prefix, have+1) }

// run is rule 7: the revocation and its consequences are one change. What rests
// on the scope through any chain is flagged while it is attached; what is off
// loses every way back but the gate.
func (c *RevokeClearance) run(d *draft) error {
	x, ok := d.s.clearances[c.Clearance]
	if !ok {
		return refuse(RuleRevocation, "Eine Freigabe %q gibt es nicht.", c.Clearance)
	}
	by := ""
	if people := c.act().By; len(people) > 0 {
		by = people[0].ID
	}
	if x.State == forensics.Revoked {
		return refuse(RuleRevocation, "Die Freigabe %s ist schon widerrufen (%s).", x.ID, x.Reason)
	}
	if err := d.reason(); err != nil {
		return err
	}
	x, err := x.Revoke(d.at, by, c.Reason)
	if err != nil {
		return err
	}
	d.subject = x.ID
	d.clearances[x.ID] = x
	var from []int
	for _, subject := range x.Subjects() {
		from = append(from, d.s.top.about(subject)...)
		d.name(subject, "Widerruf "+x.ID)
	}
	if !d.s.on(RuleRevocation) {
		return nil
	}
	for _, n := range reach(from, d.s.top.usedBy) {
		if d.s.track(n) != nil {
			t, _ := d.take(n)
			d.bring(t, x)
		}
	}
	return nil
}

// bring is what a revocation does to one node that rests on it.
func (d *draft) bring(t *Track, x forensics.Clearance) {
	switch t.Regular {
	case Running, Limited, Trial:
		if t.Flag == nil { // an earlier flag has the earlier deadline
			t.Flag = &Flag{Clearance: x.ID, At: d.at, By: d.at.Add(d.s.settings.GoDown), Reason: x.Reason}
		}
	case Cut:
		if t.Cut != nil && t.Cut.Barred == "" {
			rec := *t.Cut
			rec.Barred = x.ID
			t.Cut = &rec
		}
	case Failed:
		t.GateOnly = true
	case Rebuilding: // the gate is ahead of it anyway
	}
}

func (c *ProveRotation) run(d *draft) error {
	if err := d.known(c.Scope, c.Covers); err != nil {
		return err
	}
	by := ""
	if people := c.act().By; len(people) > 0 {
		by = people[0].ID
	}
	x, err := forensics.Prove(d.at, forensics.Rotation{
		ID: nextID("R", len(d.s.rotations)), Scope: c.Scope, Covers: c.Covers, Evidence: c.Evidence, RotatedAt: c.RotatedAt,
		By: by, Version: d.version,
	})
	if err != nil {
		return fmt.Errorf("recording a rotation of credentials: %w", err)
	}
	d.subject = x.ID
	d.rotations = append(d.rotations, x)
	return nil
}

func (c *RecordIndicator) run(d *draft) error {
	if err := d.known(forensics.Scope{}, c.Subjects); err != nil {
		return err
	}
	by := ""
	if people := c.act().By; len(people) > 0 {
		by = people[0].ID
	}
	x, err := forensics.Record(d.at, forensics.Indicator{
		ID: nextID("I", len(d.s.indicators)), Value: c.Value, Subjects: c.Subjects, Source: c.Source, By: by, Version: d.version,
	})
	if err != nil {
		return fmt.Errorf("recording an indicator: %w", err)
	}
	d.subject = x.ID
	d.indicators = append(d.indicators, x)
	for _, subject := range x.Subjects {
		d.name(subject, "Indikator "+x.ID)
	}
	return nil
}

func (c *NameSubjects) run(d *draft) error {
	if c.Source == "" {
		return refuse(RuleOnRecord, "Es fehlt, welches Signal oder welcher Befund die Umgebung nennt.")
	}
	if len(c.Subjects) == 0 {
		return refuse(RuleOnRecord, "Es ist nichts genannt.")
	}
	if err := d.known(forensics.Scope{}, c.Subjects); err != nil {
		return err
	}
	for _, subject := range c.Subjects {
		d.name(subject, c.Source)
	}
	return nil
}

// name remembers that something names a subject: its cuts can no longer be undone.
func (d *draft) name(subject, by string) {
	t := d.trail(subject)
	t.Named, t.NamedBy = d.version, by
	d.setTrail(t)
}

func (c *LiftFlag) run(d *draft) error {
	if err := d.reason(); err != nil {
		return err
	}
	var nodes []int
	if err := d.each(c.Nodes, func(n int, t *Track, _ *Placement) error {
		if t.Flag == nil {
			return refuse(RuleRevocation, "%s muss nicht herunter.", d.s.top.names[n])
		}
		nodes = append(nodes, n)
		return nil
	}); err != nil {
		return err
	}
	rests, err := d.gate(nodes)
	if err != nil {
		return err
	}
	for i, n := range nodes {
		t, _ := d.take(n)
		t.Flag, t.Passed, t.Rests = nil, true, rests[i]
	}
	return nil
}

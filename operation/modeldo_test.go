package operation_test

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/operation"
)

// effect judges and makes one command on the model.
func (m *model) effect(v verdict, c operation.Command, a operation.Act) {
	switch c := c.(type) {
	case *operation.OrderCut:
		m.orderCut(v, c, a)
	case *operation.ConfirmCut:
		m.confirmCut(v, c, a)
	case *operation.UndoCut:
		m.undoCut(v, c, a)
	case *operation.ObserveFailure:
		m.all(v, c.Nodes, func(_ string, n *mnode) {
			if n.reg == "failed" {
				n.confirmed = a.At
				return
			}
			n.gateOnly = n.gateOnly || n.flagged || n.reg != "running" && n.reg != "limited"
			n.flagged, n.flagTold, n.flagBy, n.flagOf, n.undo = false, false, time.Time{}, "", ""
			m.enter(n, "failed", a.At)
			m.off(n)
		})
	case *operation.RuleOutAttack:
		v.unless(a.Reason != "" && c.Cause != "", 5)
		m.all(v, c.Nodes, func(_ string, n *mnode) {
			ok := v.unless(n.reg == "failed", 1) && v.unless(!n.gateOnly, 1) && v.unless(n.em != "active", 2)
			if ok {
				m.back[n.env] = m.version
				m.enter(n, "running", a.At)
				m.openRegular(n)
			}
		})
	case *operation.BeginRebuild:
		m.all(v, c.Nodes, func(_ string, n *mnode) {
			if v.unless(n.reg == "cut" || n.reg == "failed", 1) {
				m.enter(n, "rebuilding", a.At)
			}
		})
	case *operation.EnterTrial:
		m.enterTrial(v, c, a)
	case *operation.Accept:
		m.accept(v, c, a)
	case *operation.Limit:
		m.inRegular(v, c.Nodes, "limited", strings.Join(c.Paths, ","), a.At)
	case *operation.Unlimit:
		m.inRegular(v, c.Nodes, "running", "", a.At)
	case *operation.PrepareEmergency:
		m.places(v, c.Placements, func(n *mnode) {
			if v.unless(n.em == "none", 2) {
				n.em = "ready"
			}
		})
	case *operation.StartEmergency:
		m.places(v, c.Placements, func(n *mnode) { m.start(v, n, false) })
	case *operation.ReportClosed:
		m.reportClosed(v, c, a)
	case *operation.ReportJournal:
		m.reportJournal(v, c)
	case *operation.BeginHandover:
		m.places(v, c.Placements, func(n *mnode) {
			if v.unless(n.em == "active" && n.reg == "trial", 2) && v.unless(!n.flagged, 7) {
				n.em, n.closing = "handing_over", true
			}
		})
	case *operation.ReturnToEmergency:
		m.places(v, c.Placements, func(n *mnode) {
			if v.unless(n.em == "handing_over", 2) {
				n.em = "active"
				m.openEmergency(n)
			}
		})
	case *operation.EndObservation:
		m.places(v, c.Placements, func(n *mnode) {
			if v.unless(n.em == "closed" && !a.At.Before(n.observe), 3) {
				n.em, n.observe = "none", time.Time{}
			}
		})
	default:
		m.judge(v, c, a)
	}
}

// judge is effect for what is known, decided about flags, and upkeep.
func (m *model) judge(v verdict, c operation.Command, a operation.Act) {
	switch c := c.(type) {
	case *operation.GrantClearance:
		m.grant(v, c, a)
	case *operation.RevokeClearance:
		m.revoke(v, c, a)
	case *operation.ProveRotation:
		about := clearanceAbout(c.Scope, c.Covers)
		m.known(v, about)
		v.unless(!c.RotatedAt.After(a.At), 0)
		m.rotations = append(m.rotations, mrotation{about: about, at: c.RotatedAt, version: m.version})
	case *operation.RecordIndicator:
		m.known(v, c.Subjects)
		m.indicators++
		for _, s := range c.Subjects {
			m.named[s] = m.version
		}
	case *operation.NameSubjects:
		m.known(v, c.Subjects)
		v.unless(c.Source != "", 5)
		for _, s := range c.Subjects {
			m.named[s] = m.version
		}
	case *operation.LiftFlag:
		v.unless(a.Reason != "", 5)
		m.all(v, c.Nodes, func(_ string, n *mnode) { v.unless(n.flagged, 7) })
		if len(v) == 0 {
			m.gate(v, c.Nodes, a.At)
		}
		m.all(v, c.Nodes, func(_ string, n *mnode) {
			n.flagged, n.flagTold, n.flagBy, n.flagOf, n.passed = false, false, time.Time{}, "", true
		})
	case *operation.SetOwner:
		v.unless(strings.TrimSpace(c.Owner) != "", 6)
		m.all(v, c.Nodes, func(_ string, n *mnode) { n.owner = c.Owner })
	case *operation.ConfirmState:
		m.all(v, c.Nodes, func(_ string, n *mnode) {
			v.unless(c.Saw == 0 || c.Saw.String() == n.reg, 6)
			n.confirmed = a.At
		})
	case *operation.SetBehaviour:
		m.places(v, c.Placements, func(n *mnode) { n.behaviour = c.Behaviour.String() })
	case *operation.RegisterGateway:
		v.unless(c.Node != "", 6)
		v.unless(!m.gateways[c.Node].retired, 2)
		m.gateways[c.Node] = mgateway{services: services(c.Services)}
	case *operation.RetireGateway:
		g, ok := m.gateways[c.Node]
		if v.unless(ok && !g.retired, 2) {
			g.retired = true
			m.gateways[c.Node] = g
		}
	case *operation.Adopt:
		m.adopt(v, c, a)
	case *operation.Tick:
		m.tick(a.At)
	}
}

func services(in []catalogue.ServiceID) string {
	out := "all"
	for _, s := range in {
		out += " " + string(s)
	}
	return out
}

// all runs fn on each node named, once.
func (m *model) all(v verdict, nodes []string, fn func(name string, n *mnode)) {
	v.unless(len(nodes) > 0, 5)
	done := map[string]bool{}
	for _, name := range nodes {
		n, ok := m.find(name)
		if done[name] || !v.unless(ok && n.reg != "", 6) {
			continue
		}
		done[name] = true
		fn(name, &n)
		m.set(name, n)
	}
}

func (m *model) places(v verdict, ids []catalogue.PlacementID, fn func(n *mnode)) {
	m.all(v, names(ids...), func(_ string, n *mnode) {
		if v.unless(n.kasse != "", 6) {
			fn(n)
		}
	})
}

func (m *model) known(v verdict, subjects []string) {
	v.unless(len(subjects) > 0, 5)
	for _, s := range subjects {
		found := false
		for _, n := range m.list {
			found = found || n.env == s
		}
		v.unless(found, 6)
	}
}

func (m *model) enter(n *mnode, reg string, at time.Time) {
	if attached(n.reg) && !attached(reg) {
		n.down, n.downAt = m.version, at
	}
	n.reg, n.confirmed = reg, at
}

// off: the regular system goes away. The emergency path is never left handing
// over to nothing, and an observation is over.
func (m *model) off(n *mnode) {
	switch n.em {
	case "handing_over":
		n.em = "active"
		m.openEmergency(n)
	case "closed":
		n.em, n.observe = "none", time.Time{}
	}
	if n.writer == "regular" {
		n.closing = true
	}
}

func (m *model) openRegular(n *mnode) {
	if n.kasse == "" {
		return
	}
	n.starting = ""
	n.writer, n.closing = "regular", false
	n.epoch++
}

func (m *model) openEmergency(n *mnode) {
	n.writer, n.closing = "emergency", false
	n.epoch++
	n.book.State, n.book.Epoch = operation.JournalOpen, int64(n.epoch)
}

func (m *model) start(v verdict, n *mnode, unconfirmed bool) {
	if n.em == "active" {
		return
	}
	if !v.unless(n.em == "ready", 2) || !v.unless(n.reg != "running" && n.reg != "limited", 2) {
		return
	}
	if n.writer == "regular" {
		n.closing = true
	}
	if !unconfirmed {
		n.starting = "ordered"
	} else if n.starting == "" {
		n.starting = "unconfirmed"
	}
	m.mayBegin(n)
}

func (m *model) mayBegin(n *mnode) {
	if n.starting == "ordered" && n.writer == "" {
		n.starting, n.em = "", "active"
		m.openEmergency(n)
	}
}

func (m *model) orderCut(v verdict, c *operation.OrderCut, a operation.Act) {
	v.unless(a.Reason != "", 5)
	v.unless(c.Measure != "", 5)
	for _, s := range c.Start {
		v.unless(slices.Contains(c.Nodes, string(s)), 2)
	}
	m.all(v, c.Nodes, func(name string, n *mnode) {
		if b, ok := c.Behaviour[catalogue.PlacementID(name)]; ok && n.kasse != "" {
			n.behaviour = b.String()
		}
		if !attached(n.reg) {
			return
		}
		cut := mcut{set: true, measure: c.Measure, version: m.version, former: n.reg, until: a.At.Add(4 * time.Hour)}
		if n.undo != "" {
			cut.former, n.undo = n.undo, ""
		}
		if c.Immediate {
			cut.confirmBy = a.At.Add(30 * time.Minute)
		}
		for _, p := range a.By {
			cut.by += " " + p.ID
			cut.lead = cut.lead || may(p, "L", "")
		}
		if n.flagged {
			cut.barred = n.flagOf
			n.flagged, n.flagTold, n.flagBy, n.flagOf = false, false, time.Time{}, ""
		}
		n.cut, n.gateOnly = cut, true
		m.enter(n, "cut", a.At)
		m.off(n)
	})
	if len(c.Start) > 0 {
		m.places(v, c.Start, func(n *mnode) { m.start(v, n, c.Immediate) })
	}
}

func (m *model) confirmCut(v verdict, c *operation.ConfirmCut, a operation.Act) {
	found := false
	for _, name := range m.order {
		n := m.node(name)
		if n.cut.measure != c.Measure || n.cut.confirmBy.IsZero() {
			continue
		}
		found = true
		good := false
		for _, p := range a.By {
			good = good || !strings.Contains(n.cut.by+" ", " "+p.ID+" ") && may(p, "LO", "") && (n.cut.lead || may(p, "L", ""))
		}
		v.unless(good, 4)
		for _, p := range a.By {
			n.cut.by += " " + p.ID
			n.cut.lead = n.cut.lead || may(p, "L", "")
		}
		n.cut.confirmBy, n.cut.told = time.Time{}, false
		if n.starting == "unconfirmed" {
			n.starting = "ordered"
			m.mayBegin(&n)
		}
		m.set(name, n)
	}
	v.unless(found, 5)
}

func (m *model) undoCut(v verdict, c *operation.UndoCut, a operation.Act) {
	v.unless(a.Reason != "", 5)
	back := map[string]bool{}
	m.all(v, c.Nodes, func(_ string, n *mnode) {
		if !v.unless(n.reg == "cut" && n.cut.set, 1) {
			return
		}
		v.unless(n.cut.barred == "", 7)
		v.unless(!a.At.After(n.cut.until) && m.named[n.env] <= n.cut.version && m.back[n.env] <= n.cut.version, 1)
		back[n.env] = true
		former := n.cut.former
		n.cut, n.gateOnly, n.starting = mcut{}, false, ""
		if n.em == "active" {
			if former != "trial" {
				n.undo = former
			}
			m.enter(n, "trial", a.At)
			return
		}
		m.enter(n, former, a.At)
		m.openRegular(n)
	})
	for e := range back {
		m.back[e] = m.version
	}
}

func (m *model) enterTrial(v verdict, c *operation.EnterTrial, a operation.Act) {
	m.all(v, c.Nodes, func(_ string, n *mnode) { v.unless(n.reg == "rebuilding", 1) })
	if len(v) > 0 && (v[1] || v[6]) {
		return
	}
	m.gate(v, c.Nodes, a.At)
	m.all(v, c.Nodes, func(_ string, n *mnode) {
		m.enter(n, "trial", a.At)
		n.passed, n.cut, n.gateOnly = true, mcut{}, false
		m.back[n.env] = m.version
		if n.kasse == "" {
			return
		}
		n.testers = strings.Join(c.Testers, ",")
		if n.em != "active" {
			m.openRegular(n)
		}
	})
}

func (m *model) accept(v verdict, c *operation.Accept, a operation.Act) {
	to := "?"
	if v.unless(c.To == operation.Running || c.To == operation.Limited, 1) {
		to = c.To.String()
	}
	m.all(v, c.Nodes, func(name string, n *mnode) {
		if !v.unless(n.reg == "trial", 1) {
			return
		}
		v.unless(!n.flagged, 7)
		v.unless(n.undo == "" || n.undo == to, 1)
		m.enter(n, to, a.At)
		n.undo = ""
		if n.kasse == "" {
			return
		}
		if to == "limited" {
			n.paths = strings.Join(c.Paths, ",")
		}
		switch n.em {
		case "none", "ready":
			if n.writer != "regular" || n.closing {
				m.openRegular(n)
			}
			n.starting = ""
		case "handing_over":
			v.unless(n.writer == "", 2)
			m.closeBook(v, c, name, n)
			n.em, n.observe = "closed", a.At.Add(24*time.Hour)
			m.openRegular(n)
		default:
			v[2] = true
		}
	})
}

func (m *model) closeBook(v verdict, c *operation.Accept, name string, n *mnode) {
	for _, r := range c.Closed {
		if string(r.Placement) == name {
			v.unless(r.Epoch == n.book.Epoch, 2)
			v.unless(r.State == operation.JournalClosed && r.Open == 0 && adds(r.Counts) && r.Taken == n.book.Taken, 3)
			n.book = r.Counts
			return
		}
	}
	v[3] = true
}

func adds(c operation.Counts) bool {
	return c.Accepted == c.HandedOver+c.Rejected+c.Open && c.Taken >= c.Accepted && min(c.HandedOver, c.Rejected, c.Open) >= 0
}

func (m *model) inRegular(v verdict, nodes []string, to, paths string, at time.Time) {
	m.all(v, nodes, func(_ string, n *mnode) {
		if !v.unless(n.reg == "running" || n.reg == "limited", 1) || !v.unless(!n.flagged, 7) {
			return
		}
		if n.reg != to {
			m.enter(n, to, at)
		}
		if n.kasse != "" {
			n.paths = paths
		}
	})
}

func (m *model) reportClosed(v verdict, c *operation.ReportClosed, a operation.Act) {
	m.places(v, c.Placements, func(n *mnode) {
		if n.writer == "" {
			return
		}
		if !v.unless(n.writer == "regular" && n.closing, 2) {
			return
		}
		good := c.Proof.Kind == operation.ByProbe && c.Proof.Ref != ""
		if c.Proof.Kind == operation.ByDoors {
			standing := 0
			good = true
			for node, g := range m.gateways {
				if g.retired || g.services != "all" && !strings.Contains(g.services+" ", " "+n.service+" ") {
					continue
				}
				standing++
				said := false
				for _, ack := range c.Proof.Nodes {
					over := !ack.LeaseEnded.IsZero() && !ack.LeaseEnded.After(a.At)
					said = said || ack.Node == node && (int(ack.Door) >= n.doorVersion || over)
				}
				good = good && said
			}
			good = good && standing > 0
		}
		if v.unless(good, 2) {
			n.writer, n.closing = "", false
			m.mayBegin(n)
		}
	})
}

func (m *model) reportJournal(v verdict, c *operation.ReportJournal) {
	v.unless(len(c.Reports) > 0, 5)
	for _, r := range c.Reports {
		m.places(v, []catalogue.PlacementID{r.Placement}, func(n *mnode) {
			if !v.unless(n.em == "active" || n.em == "handing_over", 3) {
				return
			}
			v.unless(r.Epoch == n.book.Epoch, 2)
			stopped := r.State == operation.JournalDraining || r.State == operation.JournalClosed
			v.unless(n.em == "active" && r.State == operation.JournalOpen || n.em == "handing_over" && stopped, 2)
			before := n.book.State
			hasStopped := before == operation.JournalDraining || before == operation.JournalClosed
			v.unless(adds(r.Counts) && r.Taken >= n.book.Taken && (!hasStopped || r.Taken == n.book.Taken), 3)
			n.book = r.Counts
			if n.em == "handing_over" {
				n.writer, n.closing = "", false
			}
		})
	}
}

func (m *model) grant(v verdict, c *operation.GrantClearance, a operation.Act) {
	about := clearanceAbout(c.Scope, c.Covers)
	if len(about) > 0 {
		m.known(v, about)
	}
	x := mclear{
		id: "F-" + pad(len(m.clearances)+1), about: about, from: a.At, until: c.Until, granted: m.version,
	}
	if c.Scope.Kind == forensics.Environment || c.Scope.Kind == forensics.Component {
		x.subject = c.Scope.ID
	}
	m.clearances = append(m.clearances, x)
}

func pad(n int) string {
	s := strconv.Itoa(n)
	return strings.Repeat("0", max(0, 4-len(s))) + s
}

func (m *model) revoke(v verdict, c *operation.RevokeClearance, a operation.Act) {
	i := slices.IndexFunc(m.clearances, func(x mclear) bool { return x.id == c.Clearance })
	if !v.unless(i >= 0 && !m.clearances[i].revoked, 7) {
		return
	}
	v.unless(a.Reason != "", 5)
	m.clearances = slices.Clone(m.clearances)
	m.clearances[i].revoked, m.clearances[i].warned, m.clearances[i].touched = true, false, m.version
	for _, subject := range m.clearances[i].about {
		m.named[subject] = m.version
		for name := range m.restsOn(subject) {
			n := m.node(name)
			switch n.reg {
			case "running", "limited", "trial":
				if !n.flagged {
					n.flagged, n.flagOf, n.flagBy = true, c.Clearance, a.At.Add(2*time.Hour)
				}
			case "cut":
				if n.cut.set && n.cut.barred == "" {
					n.cut.barred = c.Clearance
				}
			case "failed":
				n.gateOnly = true
			}
			m.set(name, n)
		}
	}
}

func (m *model) adopt(v verdict, c *operation.Adopt, a operation.Act) {
	for _, name := range m.order {
		n := m.node(name)
		if n.reg != "" {
			continue
		}
		n.owner = c.Owner
		if o, ok := c.Owners[name]; ok {
			n.owner = o
		}
		v.unless(strings.TrimSpace(n.owner) != "", 6)
		n.reg, n.confirmed = "running", a.At
		if n.kasse != "" {
			n.em, n.writer, n.epoch = "none", "regular", 1
			n.behaviour = map[string]string{"eau": "buffer", "app": "notice"}[n.service]
		}
		m.set(name, n)
	}
}

func (m *model) tick(now time.Time) {
	for _, name := range m.order {
		n := m.node(name)
		if n.flagged && !now.Before(n.flagBy) {
			n.flagTold = true
		}
		if n.cut.set && !n.cut.confirmBy.IsZero() && !now.Before(n.cut.confirmBy) {
			n.cut.told = true
		}
		m.set(name, n)
	}
	m.clearances = slices.Clone(m.clearances)
	for i, c := range m.clearances {
		if !c.revoked && !now.Before(c.until) {
			m.clearances[i].warned = true
		}
	}
}

package operation_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/operation"
)

// world is what is really so, whatever the room believes: which regular systems
// accept writes, and what stands in the books of the emergency path.
type world struct {
	regularOpen map[string]bool
	books       map[string]operation.Counts
}

// generator makes random commands: mostly sensible ones in the state at hand,
// some by the wrong people, at the wrong time or about the wrong thing.
type generator struct {
	*rand.Rand
	m       *model
	w       *world
	now     time.Time
	measure int
}

func newGenerator(seed uint64, m *model) *generator {
	return &generator{
		Rand: rand.New(rand.NewPCG(seed, 7)), m: m, now: t0,
		w: &world{regularOpen: map[string]bool{}, books: map[string]operation.Counts{}},
	}
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func choose[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// some names up to n nodes that fit; when none fits, or now and then, any.
func (g *generator) some(n int, fits func(n mnode) bool) []string {
	var from []string
	if !g.chance(12) {
		for _, name := range g.m.order {
			if fits(g.m.node(name)) {
				from = append(from, name)
			}
		}
	}
	if len(from) == 0 {
		from = g.m.order
	}
	var out []string
	for range 1 + g.IntN(n) {
		out = append(out, choose(g, from))
	}
	if g.chance(1) {
		out = append(out, "nirgends")
	}
	return out
}

func (g *generator) places(n int, fits func(n mnode) bool) []catalogue.PlacementID {
	var out []catalogue.PlacementID
	for _, name := range g.some(n, func(n mnode) bool { return n.kasse != "" && fits(n) }) {
		if strings.Contains(name, "/") || g.chance(10) {
			out = append(out, catalogue.PlacementID(name))
		}
	}
	return out
}

func reg(states ...string) func(mnode) bool {
	return func(n mnode) bool { return slices.Contains(states, n.reg) }
}

func em(states ...string) func(mnode) bool {
	return func(n mnode) bool { return slices.Contains(states, n.em) }
}

var both = access.Person{ID: "doro", Roles: []access.Role{access.CrisisLead, access.Operator, access.Examiner}, Active: true}

// people signs with people who may, mostly.
func (g *generator) people(kind string, nodes []string) []access.Person {
	everybody := []access.Person{lead, deputy, operator, examiner, auditor, gone, system, both, delegate(kasseA), delegate(kasseB)}
	if g.chance(5) {
		var out []access.Person
		for range g.IntN(4) {
			out = append(out, choose(g, everybody))
		}
		return out
	}
	rule, room, _ := strings.Cut(who[kind], " ")
	if room == "S" && g.chance(50) {
		return []access.Person{system}
	}
	var out []access.Person
	for part := range strings.SplitSeq(rule, "+") {
		letter := part[g.IntN(len(part))]
		for _, k := range g.kassenOf(nodes) {
			out = append(out, map[byte]access.Person{
				'L': choose(g, []access.Person{lead, lead, deputy, both}), 'O': operator, 'E': examiner, 'K': delegate(k),
			}[letter])
			if letter != 'K' {
				break
			}
		}
	}
	if g.chance(50) {
		slices.Reverse(out)
	}
	return out
}

func (g *generator) kassenOf(nodes []string) []catalogue.KasseID {
	out := []catalogue.KasseID{}
	for _, n := range nodes {
		if k := g.m.node(n).kasse; k != "" && !slices.Contains(out, catalogue.KasseID(k)) {
			out = append(out, catalogue.KasseID(k))
		}
	}
	if len(out) == 0 {
		out = append(out, kasseA)
	}
	return out
}

// next makes a command and lets time pass.
func (g *generator) next() operation.Command {
	switch {
	case g.chance(75):
		g.now = g.now.Add(time.Second * time.Duration(1+g.IntN(120)))
	case g.chance(85):
		g.now = g.now.Add(time.Minute * time.Duration(1+g.IntN(40)))
	default:
		g.now = g.now.Add(time.Hour * time.Duration(1+g.IntN(14)))
	}
	c := g.command()
	kind := c.Kind()
	if o, ok := c.(*operation.OrderCut); ok && o.Immediate {
		kind += " immediate"
	}
	nodes := mentioned(c)
	if kind == "regular.accepted" && !slices.ContainsFunc(nodes, func(n string) bool { return strings.Contains(n, "/") }) {
		kind += " components"
	}
	c.Sign(g.now, g.people(kind, nodes)...)
	if g.chance(97) {
		setReason(c, "weil")
	}
	return c
}

func (g *generator) command() operation.Command {
	switch g.IntN(35) {
	case 0:
		return g.orderCut()
	case 1, 2:
		return &operation.ConfirmCut{Measure: fmt.Sprint("m", max(1, g.measure-g.IntN(3)))}
	case 3, 4:
		return &operation.UndoCut{Nodes: g.some(3, reg("cut"))}
	case 5:
		if g.chance(60) {
			return &operation.ConfirmState{Nodes: g.some(3, reg("running", "limited")), Saw: choose(g, []operation.Regular{0, 0, operation.Running})}
		}
		return &operation.ObserveFailure{Nodes: g.some(2, func(mnode) bool { return true })}
	case 6:
		return &operation.RuleOutAttack{Nodes: g.some(2, reg("failed")), Cause: "Platte"}
	case 7, 8, 9:
		return &operation.BeginRebuild{Nodes: g.some(6, reg("cut", "failed"))}
	case 10, 11:
		return &operation.EnterTrial{Nodes: g.some(3, reg("rebuilding")), Testers: []string{"tina"}}
	case 12, 13:
		return &operation.EnterTrial{Nodes: g.ripe(), Testers: []string{"tina"}}
	case 14:
		return g.accept(reg("trial"))
	case 15:
		return g.accept(func(n mnode) bool { return n.reg == "trial" && n.em == "handing_over" })
	case 16:
		if g.chance(50) {
			return &operation.Unlimit{Nodes: g.some(2, reg("limited"))}
		}
		return &operation.Limit{Nodes: g.some(2, reg("running")), Paths: []string{"/nur", "/das"}}
	case 17:
		return &operation.PrepareEmergency{Placements: g.places(3, em("none"))}
	case 18:
		return &operation.StartEmergency{Placements: g.places(2, func(n mnode) bool { return n.em == "ready" && n.reg != "running" })}
	case 19, 20:
		return g.reportClosed()
	case 21:
		return g.reportJournal()
	case 22:
		return &operation.BeginHandover{Placements: g.places(2, func(n mnode) bool { return n.em == "active" && n.reg == "trial" })}
	case 23:
		if g.chance(30) {
			return &operation.ReturnToEmergency{Placements: g.places(1, em("handing_over"))}
		}
		c := &operation.EndObservation{Placements: g.places(2, em("closed"))}
		for _, p := range c.Placements {
			if until := g.m.node(string(p)).observe; g.chance(60) && g.now.Before(until) {
				g.now = until
			}
		}
		return c
	case 24, 25, 26, 27, 28, 29:
		return g.grant()
	case 30, 31:
		return g.rotate()
	case 32:
		return g.knowledge()
	case 33:
		return g.upkeep()
	}
	return &operation.Tick{}
}

func (g *generator) orderCut() operation.Command {
	g.measure++
	c := &operation.OrderCut{
		Measure: fmt.Sprint("m", g.measure), Nodes: g.some(5, reg("running", "limited", "trial")), Immediate: g.chance(30),
		Behaviour: map[catalogue.PlacementID]catalogue.Behaviour{},
	}
	for _, n := range c.Nodes {
		if g.chance(20) {
			c.Behaviour[catalogue.PlacementID(n)] = catalogue.Behaviour(g.IntN(3))
		}
		if g.m.node(n).em == "ready" && g.chance(60) || g.chance(2) {
			c.Start = append(c.Start, catalogue.PlacementID(n))
		}
	}
	return c
}

func (g *generator) accept(fits func(mnode) bool) operation.Command {
	c := &operation.Accept{Nodes: g.some(2, fits), To: choose(g, []operation.Regular{operation.Running, operation.Running, operation.Limited})}
	if g.chance(3) {
		c.To = operation.Trial
	}
	if n := g.m.node(c.Nodes[0]); n.undo == "limited" && g.chance(80) {
		c.To = operation.Limited
	}
	if c.To == operation.Limited {
		c.Paths = []string{"/das"}
	}
	for _, n := range c.Nodes {
		if b, ok := g.w.books[n]; ok && g.m.node(n).em == "handing_over" && !g.chance(5) {
			if b.State == operation.JournalDraining && (b.Open == 0 || g.chance(50)) {
				b.State = operation.JournalClosed // a journal that closes although something is open must be caught
			}
			c.Closed = append(c.Closed, operation.JournalReport{Placement: catalogue.PlacementID(n), Counts: b})
		}
	}
	return c
}

// reportClosed proves that regular sides are closed: truthfully where they were
// told to close, which closes them in the world; sometimes with an empty proof.
func (g *generator) reportClosed() operation.Command {
	c := &operation.ReportClosed{
		Placements: g.places(3, func(n mnode) bool { return n.writer == "regular" && n.closing }),
		Proof:      operation.Proof{Kind: operation.ByProbe, Ref: "probe"},
	}
	switch {
	case g.chance(8):
		c.Proof = operation.Proof{Kind: choose(g, []operation.ProofKind{operation.ByProbe, operation.ByJournal, "wort"})}
		return c
	case g.chance(40):
		c.Proof = g.acks()
	}
	for _, p := range c.Placements {
		if n := g.m.node(string(p)); n.writer == "regular" && n.closing {
			g.w.regularOpen[string(p)] = false
		}
	}
	return c
}

// acks is the word of the gateways: mostly all of them and new enough.
func (g *generator) acks() operation.Proof {
	p := operation.Proof{Kind: operation.ByDoors}
	for _, node := range []string{"gw1", "gw2", "poller"} {
		switch {
		case g.chance(70):
			p.Nodes = append(p.Nodes, operation.Ack{Node: node, Door: int64(g.m.version)})
		case g.chance(50):
			p.Nodes = append(p.Nodes, operation.Ack{Node: node, LeaseEnded: g.now.Add(-time.Second)})
		case g.chance(50):
			p.Nodes = append(p.Nodes, operation.Ack{Node: node, Door: int64(g.m.version - g.IntN(40)), LeaseEnded: g.now.Add(time.Minute)})
		}
	}
	return p
}

// work lets the world move on: items come in, are handed over and rejected.
func (g *generator) work(book operation.Counts) operation.Counts {
	if book.State == operation.JournalOpen {
		in := int64(g.IntN(5))
		book.Taken, book.Accepted, book.Open = book.Taken+in, book.Accepted+in, book.Open+in
	}
	if book.State != operation.JournalClosed && book.Open > 0 {
		done := book.Open
		if g.chance(40) {
			done = g.Int64N(book.Open + 1)
		}
		rejected := g.Int64N(done + 1)
		book.Open, book.HandedOver, book.Rejected = book.Open-done, book.HandedOver+done-rejected, book.Rejected+rejected
	}
	return book
}

func (g *generator) reportJournal() operation.Command {
	c := &operation.ReportJournal{}
	for _, p := range g.places(2, em("active", "handing_over")) {
		book := g.work(g.w.books[string(p)])
		g.w.books[string(p)] = book
		switch { // a journal that has lost something, cannot count, or is another one
		case g.chance(3):
			book.Taken, book.Accepted, book.HandedOver = book.Taken-1, book.Accepted-1, book.HandedOver-1
		case g.chance(3):
			book.Open++
		case g.chance(3):
			book.Epoch--
		case g.chance(3):
			book.State = choose(g, []operation.JournalState{operation.JournalOpen, operation.JournalDraining, operation.JournalNone})
		}
		c.Reports = append(c.Reports, operation.JournalReport{Placement: p, Counts: book})
	}
	return c
}

func (g *generator) subject() string {
	if g.chance(1) {
		return "mars"
	}
	return g.m.node(choose(g, g.m.order)).env
}

// missing lists what has no clearance of all that nodes before the gate, and
// flagged ones, lead to.
func (g *generator) missing() (out []string) {
	for _, n := range g.m.order {
		if g.m.node(n).reg != "rebuilding" && !g.m.node(n).flagged {
			continue
		}
		for _, x := range g.m.order {
			if g.m.leads[n][x] && !g.m.clear(x, g.now) {
				out = append(out, g.m.node(x).env)
			}
		}
	}
	return out
}

// ripe lists nodes that the gate would let through, one or a cycle.
func (g *generator) ripe() []string {
	var ripe [][]string
	try := func(nodes ...string) {
		v := verdict{}
		for _, n := range nodes {
			v.unless(g.m.node(n).reg == "rebuilding", 1)
		}
		if len(v) == 0 {
			g.m.gate(v, nodes, g.now)
		}
		if len(v) == 0 {
			ripe = append(ripe, nodes)
		}
	}
	for _, n := range g.m.order {
		try(n)
	}
	try("dir@munich", "hyp@munich")
	if len(ripe) == 0 {
		return g.some(5, reg("rebuilding"))
	}
	return choose(g, ripe)
}

func (g *generator) grant() operation.Command {
	if g.chance(8) {
		s := forensics.Scope{Kind: forensics.Realm, ID: "intra.lan"}
		return &operation.GrantClearance{Application: forensics.Application{
			Scope: s, Covers: []string{g.subject()}, Check: forensics.Rebuilt, Evidence: papers("b"), Until: g.now.Add(300 * time.Hour),
		}}
	}
	subject := g.subject()
	if missing := g.missing(); len(missing) > 0 && g.chance(85) {
		subject = choose(g, missing)
	}
	a := application(subject, g.now)
	a.Until = g.now.Add(time.Hour * time.Duration(1+g.IntN(2000)))
	return &operation.GrantClearance{Application: a}
}

func (g *generator) rotate() operation.Command {
	subject := g.subject()
	var stale []string
	for _, n := range g.m.order {
		if g.m.node(n).reg == "rebuilding" && !g.m.rotatedSince(n) {
			stale = append(stale, g.m.node(n).env)
		}
	}
	if len(stale) > 0 && g.chance(85) {
		subject = choose(g, stale)
	}
	c := &operation.ProveRotation{Scope: scope(subject), Evidence: papers("w"), RotatedAt: g.now}
	if g.chance(20) {
		c.Scope, c.Covers = forensics.Scope{Kind: forensics.Realm, ID: "intra.lan"}, []string{subject}
	}
	if g.chance(10) {
		c.RotatedAt = g.now.Add(-time.Hour)
	}
	return c
}

func (g *generator) knowledge() operation.Command {
	switch g.IntN(6) {
	case 0:
		return &operation.NameSubjects{Subjects: []string{g.subject()}, Source: "signal 1"}
	case 1:
		return &operation.RecordIndicator{Value: "sha256:…", Subjects: []string{g.subject()}, Source: "Befund"}
	case 2, 3:
		return &operation.LiftFlag{Nodes: g.some(2, func(n mnode) bool { return n.flagged })}
	}
	id := "F-0000"
	if n := len(g.m.clearances); n > 0 {
		id = g.m.clearances[g.IntN(n)].id
	}
	return &operation.RevokeClearance{Clearance: id}
}

func (g *generator) upkeep() operation.Command {
	switch g.IntN(8) {
	case 0:
		return &operation.SetOwner{Nodes: g.some(2, func(mnode) bool { return true }), Owner: choose(g, []string{"uli", "ida", "", " "})}
	case 1:
		return &operation.SetBehaviour{Placements: g.places(2, func(mnode) bool { return true }), Behaviour: catalogue.Behaviour(g.IntN(3))}
	case 2, 3, 4:
		return &operation.RegisterGateway{
			Node:     choose(g, []string{"gw1", "gw2", "poller", ""}),
			Services: choose(g, [][]catalogue.ServiceID{nil, nil, {"eau"}, {"app", "eau"}}),
		}
	case 5:
		return &operation.RetireGateway{Node: choose(g, []string{"gw2", "gw9"})}
	case 6:
		return &operation.Adopt{Owner: "betrieb"}
	}
	return &operation.ConfirmState{Nodes: g.some(3, reg("cut")), Saw: operation.Cut}
}

// setReason gives a command its reason.
func setReason(c operation.Command, reason string) {
	switch c := c.(type) {
	case *operation.OrderCut:
		c.Reason = reason
	case *operation.UndoCut:
		c.Reason = reason
	case *operation.RuleOutAttack:
		c.Reason = reason
	case *operation.RevokeClearance:
		c.Reason = reason
	case *operation.LiftFlag:
		c.Reason = reason
	}
}

package operation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/operation"
)

var t0 = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

// The people of the test rooms.
var (
	lead     = access.Person{ID: "anna", Roles: []access.Role{access.CrisisLead}, Active: true}
	deputy   = access.Person{ID: "otto", Roles: []access.Role{access.CrisisLead}, Active: true}
	operator = access.Person{ID: "bert", Roles: []access.Role{access.Operator}, Active: true}
	examiner = access.Person{ID: "eva", Roles: []access.Role{access.Examiner}, Active: true}
	auditor  = access.Person{ID: "rita", Roles: []access.Role{access.Auditor}, Active: true}
	gone     = access.Person{ID: "gerd", Roles: []access.Role{access.CrisisLead, access.Operator}}
	system   = access.Person{ID: ledger.System}
)

func delegate(k catalogue.KasseID) access.Person {
	return access.Person{ID: "kasse-" + string(k), Roles: []access.Role{access.KasseDelegate}, Kasse: k, Active: true}
}

const (
	kasseA = catalogue.KasseID("109034270")
	kasseB = catalogue.KasseID("108433248")
)

// testCatalogue is small and has everything: two sites, a cycle of components,
// alternatives, a chain, and a placement that rests on another placement.
func testCatalogue() *catalogue.Catalogue {
	f := func(s string) catalogue.Formula {
		v, err := catalogue.ParseFormula(s)
		if err != nil {
			panic(err)
		}
		return v
	}
	c := &catalogue.Catalogue{
		Sites: []catalogue.Site{{ID: "munich"}, {ID: "essen"}},
		Services: []catalogue.Service{
			{ID: "eau", Behaviour: catalogue.Buffer}, {ID: "app", Behaviour: catalogue.Notice},
		},
		Components: []catalogue.Component{
			{ID: "dir@munich", Site: "munich", Needs: f("hyp@munich")}, // a cycle with the hypervisor
			{ID: "hyp@munich", Site: "munich", Needs: f("dir@munich")},
			{ID: "dir@essen", Site: "essen"},
			{ID: "kim", Site: "essen", Needs: f("dir@essen")},
		},
	}
	for _, k := range []catalogue.KasseID{kasseA, kasseB} {
		c.Kassen = append(c.Kassen, catalogue.Kasse{ID: k})
		for _, s := range c.Sites {
			c.Environments = append(c.Environments, catalogue.Environment{ID: catalogue.EnvironmentOf(k, s.ID), Kasse: k, Site: s.ID})
			for _, d := range c.Services {
				needs := map[string]string{
					"eau munich": "kim & (dir@munich | dir@essen)", "app munich": "hyp@munich & " + string(k) + "/eau/munich",
					"eau essen": "kim", "app essen": "dir@essen | dir@munich",
				}[string(d.ID)+" "+string(s.ID)]
				c.Placements = append(c.Placements, catalogue.Placement{
					ID: catalogue.PlacementOf(k, d.ID, s.ID), Kasse: k, Service: d.ID, Site: s.ID,
					Environment: catalogue.EnvironmentOf(k, s.ID), Needs: f(needs),
				})
			}
		}
	}
	return c
}

// room is a state with a clock, for tests that tell a story.
type room struct {
	t   *testing.T
	s   *operation.State
	now time.Time
	seq int
}

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{t: t, s: operation.NewState(testCatalogue(), operation.Settings{}), now: t0}
	r.do(&operation.Adopt{Owner: "betrieb"}, operator)
	return r
}

// try applies a command a minute later.
func (r *room) try(c operation.Command, by ...access.Person) (*operation.Change, error) {
	r.now = r.now.Add(time.Minute)
	c.Sign(r.now, by...)
	ch, err := operation.Apply(r.s, c)
	if err == nil && ch != nil {
		r.s.Commit(ch)
	}
	return ch, err
}

func (r *room) do(c operation.Command, by ...access.Person) *operation.Change {
	r.t.Helper()
	ch, err := r.try(c, by...)
	if err != nil {
		r.t.Fatalf("%s: %v", c.Kind(), err)
	}
	if v := operation.CheckInvariants(r.s, r.now); len(v) > 0 {
		r.t.Fatalf("after %s: %+v", c.Kind(), v)
	}
	return ch
}

// refused wants a command to be refused by a rule, with a word in the text.
func (r *room) refused(rule operation.Rule, word string, c operation.Command, by ...access.Person) {
	r.t.Helper()
	_, err := r.try(c, by...)
	var why *operation.Refused
	if !errors.As(err, &why) || why.Rule != rule || !strings.Contains(why.Text, word) {
		r.t.Errorf("%s: %v; want refused by rule %d because of %q", c.Kind(), err, rule, word)
	}
}

func (r *room) cut(nodes ...string) {
	r.t.Helper()
	r.seq++
	r.do(&operation.OrderCut{Act: because("Angriff"), Measure: fmt.Sprint("m", r.seq), Nodes: nodes}, lead, operator)
}

func (r *room) clear(scopes ...string) {
	r.t.Helper()
	for _, s := range scopes {
		r.do(&operation.GrantClearance{Application: application(s, r.now)}, examiner, lead)
	}
}

func (r *room) rotate(scopes ...string) {
	r.t.Helper()
	for _, s := range scopes {
		r.do(&operation.ProveRotation{Scope: scope(s), Evidence: papers("wechsel.csv"), RotatedAt: r.now}, examiner)
	}
}

// state is what a placement looks like, for comparing at a glance.
func (r *room) state(id catalogue.PlacementID) string {
	r.t.Helper()
	p, ok := r.s.Placement(id)
	if !ok {
		r.t.Fatalf("no placement %s", id)
	}
	door, _ := r.s.Door(id)
	writer := string(p.Writing.Writer)
	if p.Writing.Closing {
		writer += " closing"
	}
	return strings.TrimSpace(fmt.Sprintf("%s/%s, door %s, epoch %d %s", p.Regular, p.Emergency, door.Answer, p.Writing.Epoch, writer))
}

func (r *room) is(id catalogue.PlacementID, want string) {
	r.t.Helper()
	if got := r.state(id); got != want {
		r.t.Errorf("%s is %q, want %q", id, got, want)
	}
}

func because(reason string) operation.Act { return operation.Act{Reason: reason} }

func papers(name string) []forensics.Evidence {
	return []forensics.Evidence{{Name: name, SHA256: strings.Repeat("ab", 32), Size: 3}}
}

func scope(subject string) forensics.Scope {
	kind := forensics.Component
	if _, _, ok := catalogue.EnvironmentID(subject).Split(); ok && subject[0] == '1' {
		kind = forensics.Environment
	}
	return forensics.Scope{Kind: kind, ID: subject}
}

func application(subject string, now time.Time) forensics.Application {
	return forensics.Application{
		Scope: scope(subject), Check: forensics.Cleaned, Evidence: papers("bericht.pdf"), Until: now.Add(30 * 24 * time.Hour),
	}
}

func probe() operation.Proof { return operation.Proof{Kind: operation.ByProbe, Ref: "probe-1"} }

func one0(name string) catalogue.PlacementID { return catalogue.PlacementID(name) }

func component(name string) catalogue.ComponentID { return catalogue.ComponentID(name) }

// What a command was signed with; the package keeps it to itself.
func peopleOf(c operation.Command) []access.Person { return operation.ActOf(c).By }

func reasonOf(c operation.Command) string { return operation.ActOf(c).Reason }

func idsOf(c operation.Command) (out []string) {
	for _, p := range peopleOf(c) {
		out = append(out, p.ID)
	}
	return out
}

package operation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/forensics"
)

// Violation is a broken rule found in a state. There is none unless the program
// or somebody with access to the store broke it, except one: past T, nobody has
// decided about what must go down (rule 7).
type Violation struct {
	Rule    Rule   `json:"rule"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// CheckInvariants looks at everything in a state and returns what breaks one of
// the seven rules: nodes in the catalogue's order, then clearances.
func CheckInvariants(s *State, now time.Time) []Violation {
	c := &checker{s: s, now: now}
	for n, name := range s.top.names {
		c.name = name
		t := s.track(n)
		if t == nil {
			if s.top.known[n] {
				c.add(RuleComplete, "hat keinen Zustand")
			}
			continue
		}
		c.node(n, t)
		if n < len(s.placements) {
			c.placement(s.placements[n], s.doors[n])
		}
	}
	nodes := len(c.found)
	for id, x := range s.clearances {
		c.name = id
		if x.Examiner == x.Second || x.Second == "" {
			c.add(RuleTwoPeople, "Freigabe von nur einer Person")
		}
		if len(x.Evidence) == 0 {
			c.add(RuleOnRecord, "Freigabe ohne Beleg")
		}
	}
	slices.SortFunc(c.found[nodes:], func(a, b Violation) int { return strings.Compare(a.Subject, b.Subject) })
	return c.found
}

type checker struct {
	s     *State
	now   time.Time
	name  string
	found []Violation
}

func (c *checker) add(r Rule, format string, args ...any) {
	c.found = append(c.found, Violation{Rule: r, Subject: c.name, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) node(n int, t *Track) {
	if t.Regular < Running || t.Regular > Trial || t.Owner == "" || t.Confirmed.IsZero() || t.Since.IsZero() {
		c.add(RuleComplete, "Zustand %s seit %s, Verantwortlicher %q, bestätigt %s", t.Regular, clock(t.Since), t.Owner, clock(t.Confirmed))
	}
	if t.Version < 1 || t.Version > c.s.version {
		c.add(RuleOnRecord, "Stand %d bei Raumstand %d", t.Version, c.s.version)
	}
	if t.Regular.Connected() {
		c.connected(n, t)
	}
	if r := t.Cut; r != nil {
		people := slices.Compact(slices.Sorted(slices.Values(r.By)))
		if r.ConfirmBy.IsZero() && (len(people) < 2 || !r.Lead) {
			c.add(RuleTwoPeople, "abgetrennt von %v ohne zweite Person", people)
		}
	}
	if f := t.Flag; f != nil {
		if !t.Regular.Connected() {
			c.add(RuleRevocation, "muss herunter und ist schon %s", t.Regular.Word())
		}
		if !c.now.Before(f.By) {
			c.add(RuleRevocation, "musste bis %s herunter (Freigabe %s), und niemand hat entschieden", clock(f.By), f.Clearance)
		}
	}
}

// connected checks how something that is attached got there.
func (c *checker) connected(n int, t *Track) {
	undoing := n < len(c.s.placements) && c.s.placements[n].Undoing != 0
	if t.GateOnly || t.Regular == Trial && !t.Passed && !undoing {
		c.add(RuleGate, "%s ohne Gang durch das Tor", t.Regular.Word())
	}
	if !t.Passed || undoing {
		return
	}
	own := false
	for _, id := range t.Rests {
		x, ok := c.s.clearances[id]
		own = own || ok && x.Scope.ID == c.s.top.subject[n]
		if ok && x.State == forensics.Revoked && t.Flag == nil {
			c.add(RuleRevocation, "beruht auf der widerrufenen Freigabe %s und ist nicht vorgemerkt", id)
		}
	}
	if !own {
		c.add(RuleGate, "%s ohne Freigabe von %s", t.Regular.Word(), c.s.top.subject[n])
	}
}

func (c *checker) placement(p *Placement, door *DoorRow) {
	if err := legal(p.Regular, p.Emergency); err != nil {
		c.add(RuleOneWriter, "%v", err)
		return
	}
	if ok := writerFits(p); !ok {
		c.add(RuleOneWriter, "%s mit %s, aber schreiben darf %q (schließt: %t)",
			p.Regular.Word(), p.Emergency.Word(), p.Writing.Writer, p.Writing.Closing)
	}
	if p.Emergency == Active && p.Journal.Epoch != p.Writing.Epoch {
		c.add(RuleOneWriter, "Notbetrieb unter Epoche %d, gültig ist %d", p.Journal.Epoch, p.Writing.Epoch)
	}
	if !p.Journal.Balanced() || p.Emergency == Closed && (p.Journal.Open != 0 || p.Journal.State != JournalClosed) {
		c.add(RuleNothingLost, "Notbetriebsbuch %+v bei %s", p.Journal, p.Emergency.Word())
	}
	row, err := doorOf(p)
	if err != nil || door == nil {
		c.add(RuleOneWriter, "keine Tür: %v", err)
		return
	}
	row.Version = door.Version
	if !row.equal(door) {
		c.add(RuleOneWriter, "die Tür ist %s (Epoche %d), aus dem Zustand folgt %s (Epoche %d)", door.Answer, door.Epoch, row.Answer, row.Epoch)
	}
}

// writerFits is rule 2 as a table: who may hold the right to write in which state.
func writerFits(p *Placement) bool {
	w := p.Writing
	if w.Epoch < 1 {
		return false
	}
	regular, closing := w.Writer == RegularSide && !w.Closing, w.Writer == RegularSide && w.Closing
	switch p.Emergency {
	case Active:
		return w.Writer == EmergencySide && !w.Closing
	case HandingOver:
		return w.Writer == Nobody && !w.Closing || w.Writer == EmergencySide && w.Closing
	case Closed:
		return regular
	case None, Ready:
		switch p.Regular {
		case Running, Limited:
			return regular
		case Cut, Failed, Rebuilding:
			return closing || w.Writer == Nobody && !w.Closing
		case Trial:
			return regular && p.Starting == NotStarting || closing && p.Starting != NotStarting
		}
	}
	return false
}

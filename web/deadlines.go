package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/forensics"
	"leitstand/operation"
	"leitstand/warning"
)

// deadline is something that must be decided or done by a time.
type deadline struct {
	At   time.Time
	What string
	Who  string
	Link string
	Note bool // runs out without harm, such as an undo window
}

// deadlineKey bundles deadlines that are the same but for the placement.
type deadlineKey struct {
	at   time.Time
	what string
	link string
}

// deadlines are all known deadlines, soonest first: of signals, requests for
// consent, cuts by one person, revocations, undo windows, clearances,
// observations, and the longest time that services may be down.
func (s *server) deadlines(signals []warning.Signal, open []access.Consent, measures []containment.Measure) []deadline {
	var out []deadline
	for _, v := range signals {
		if v.State == warning.Open {
			out = append(out, deadline{At: v.Deadline, What: "Signal entscheiden: " + v.Title, Who: v.Owner, Link: "/signale#" + v.ID})
		}
	}
	for _, v := range open {
		out = append(out, deadline{At: v.Expires, What: "Zweite Person für: " + firstPart(s.summaryText(v.Summary)), Who: v.AskedBy, Link: "/entscheidungen/" + v.ID})
	}
	out = append(out, s.stateDeadlines(measures)...)
	slices.SortStableFunc(out, func(a, b deadline) int { return a.At.Compare(b.At) })
	return out
}

func (s *server) stateDeadlines(measures []containment.Measure) []deadline {
	titles := map[string]string{}
	for _, m := range measures {
		titles[m.ID] = m.Title
	}
	state := s.room.Operation.Current()
	n := map[deadlineKey]int{}
	who := map[deadlineKey]string{}
	note := map[deadlineKey]bool{}
	add := func(at time.Time, what, link, owner string, harmless bool) {
		k := deadlineKey{at, what, link}
		n[k]++
		who[k], note[k] = owner, harmless
	}
	for _, p := range state.Placements() {
		if f := p.Flag; f != nil {
			add(f.By, "Muss vom Netz oder Widerspruch entscheiden", "/freigaben#"+f.Clearance, p.Owner, false)
		}
		if c := p.Cut; c != nil && p.Regular == operation.Cut {
			if !c.ConfirmBy.IsZero() {
				add(c.ConfirmBy, "Abtrennung bestätigen: "+orItself(titles[c.Measure], c.Measure), "/massnahmen#"+c.Measure, p.Owner, false)
			}
			if c.Barred == "" && s.room.Now().Before(c.UndoUntil) {
				add(c.UndoUntil, "Rücknahme noch möglich: "+orItself(titles[c.Measure], c.Measure), "/massnahmen#"+c.Measure, p.Owner, true)
			}
		}
		if !p.ObserveUntil.IsZero() {
			add(p.ObserveUntil, "Beobachtung endet: "+s.serviceName(p.Service), "/kasse/"+string(p.Kasse), p.Owner, true)
		}
	}
	s.disruptions(state, add)
	for _, c := range state.Clearances() {
		if c.State == forensics.Granted {
			add(c.Until, "Freigabe läuft aus: "+s.nodeName(c.Scope.ID), "/freigaben#"+c.ID, c.Examiner, false)
		}
	}
	out := make([]deadline, 0, len(n))
	for k, count := range n {
		d := deadline{At: k.at, What: k.what, Link: k.link, Who: who[k], Note: note[k]}
		if count > 1 {
			d.What += " (" + number(count) + " Stellen)"
		}
		out = append(out, d)
	}
	return out
}

// disruptions are the ends of the longest times that cells may be down, for
// those that have neither regular nor emergency operation.
func (s *server) disruptions(state *operation.State, add func(at time.Time, what, link, owner string, harmless bool)) {
	type cell struct {
		k catalogue.KasseID
		d catalogue.ServiceID
	}
	served, since := map[cell]bool{}, map[cell]*operation.Placement{}
	for _, p := range state.Placements() {
		c := cell{p.Kasse, p.Service}
		if p.Regular == operation.Running || p.Regular == operation.Limited || p.Emergency == operation.Active || p.Emergency == operation.HandingOver {
			served[c] = true
		} else if was := since[c]; was == nil || downAt(p).Before(downAt(was)) {
			since[c] = p
		}
	}
	for c, p := range since {
		if mtpd := s.room.Catalogue.MTPD(c.k, c.d); mtpd > 0 && !served[c] {
			add(downAt(p).Add(mtpd), "Längster Ausfall erreicht: "+s.serviceName(c.d), "/fristen", p.Owner, false)
		}
	}
}

func downAt(p *operation.Placement) time.Time {
	if p.DownAt.IsZero() {
		return p.Since
	}
	return p.DownAt
}

// firstPart is what a summary is about, without the figures behind it.
func firstPart(summary string) string {
	for _, whole := range []string{"Freigabe", "Mitteilung", "Rücknahme"} {
		if strings.HasPrefix(summary, whole) {
			return summary
		}
	}
	name, _, _ := strings.Cut(summary, ": ")
	return name
}

// summaryText puts what summaries of requests hold for machines into words.
func (s *server) summaryText(summary string) string {
	if scope, ok := strings.CutPrefix(summary, "Freigabe "); ok {
		if sc, err := forensics.ParseScope(scope); err == nil {
			return "Freigabe: " + s.nodeName(sc.ID)
		}
	}
	return strings.NewReplacer("(public)", "(Öffentlichkeit)", "(partners)", "(Partner)", "(kassen)", "(Kassen)", "(authorities)", "(Behörden)").Replace(summary)
}

type deadlinesPage struct {
	Past, Next []deadline
}

// deadlinesPage shows all deadlines.
func (s *server) deadlinesPage(w http.ResponseWriter, r *http.Request) error {
	b, err := s.board(r.Context())
	if err != nil {
		return err
	}
	past, next := splitDeadlines(b.deadlines, s.room.Now())
	return s.render(w, r, http.StatusOK, "fristen", deadlinesPage{Past: past, Next: next})
}

// splitDeadlines parts what is overdue from what comes.
func splitDeadlines(all []deadline, now time.Time) (past, next []deadline) {
	for _, d := range all {
		switch {
		case d.At.After(now):
			next = append(next, d)
		case !d.Note:
			past = append(past, d)
		}
	}
	return past, next
}

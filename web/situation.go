package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/containment"
	"leitstand/incident"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/warning"
)

// board is what several screens need of the store at one moment.
type board struct {
	seq       int64
	news      []item
	incidents []incident.Incident
	open      []access.Consent
	signals   []warning.Signal
	measures  []containment.Measure
	people    []access.Person
	list      notice.List
	deadlines []deadline
}

// board reads the store.
func (s *server) board(ctx context.Context) (b board, err error) {
	b.seq, b.news, err = s.follow(ctx)
	for _, read := range []func() error{
		func() (err error) { b.incidents, err = incident.List(ctx, s.room.Store); return },
		func() (err error) { b.open, err = access.Open(ctx, s.room.Store); return },
		func() (err error) { b.signals, err = warning.List(ctx, s.room.Store); return },
		func() (err error) { b.measures, err = containment.List(ctx, s.room.Store); return },
		func() (err error) { b.people, err = access.List(ctx, s.room.Store); return },
		func() (err error) { b.list, err = notice.Newest(ctx, s.room.Store); return },
	} {
		if err != nil {
			return b, err
		}
		err = read()
	}
	if err == nil {
		b.deadlines = s.deadlines(b.signals, b.open, b.measures)
	}
	return b, err
}

// situation is what the wall shows: one screen, readable from three metres.
type situation struct {
	Now       time.Time
	Phase     string
	Incidents []incident.Incident // not closed
	Lead      []access.Person
	Matrix    matrixView
	Affected  int // insured people of Kassen with a vital service out of regular operation
	Assumed   bool
	Deadlines []deadline // the next three
	Overdue   int
	Decisions []access.Consent
	Signals   int // open
	News      []item
	List      notice.List
	Unlisted  int    // changes that the published list does not show yet
	Sentence  string // the situation for those who listen
	Stand     string // tells this picture from others
	Paused    bool
	Clock     string // how this machine's clock jumped
	Query     string
}

const wallLines = 3

func (s *server) gather(r *http.Request) (situation, error) {
	b, err := s.board(r.Context())
	if err != nil {
		return situation{}, err
	}
	cells := s.room.Cells()
	byState := r.URL.Query().Get("ordnung") == "zustand"
	now := s.room.Now()
	v := situation{Now: now, Phase: phase(cells, b.incidents), Matrix: s.matrix(cells, byState), List: b.list, Paused: paused(r)}
	v.List.Entries, v.List.Changes = nil, nil // their number and the difference are enough for a wall
	if byState {
		v.Query = "ordnung=zustand"
	}
	for _, i := range b.incidents {
		if i.ClosedAt.IsZero() {
			v.Incidents = append(v.Incidents, i)
		}
	}
	for _, p := range b.people {
		if p.Has(access.CrisisLead) {
			v.Lead = append(v.Lead, p)
		}
	}
	for _, sig := range b.signals {
		if sig.State == warning.Open {
			v.Signals++
		}
	}
	past, next := splitDeadlines(b.deadlines, now)
	v.Overdue, v.Deadlines, v.Decisions = len(past), next[:min(wallLines, len(next))], b.open
	v.News = newest(b.news, wallLines)
	v.Affected, v.Assumed = s.affected(cells)
	if v.Unlisted, err = s.unlisted(r.Context()); err != nil {
		return v, err
	}
	v.Clock = s.clockWords(r.Context())
	v.Sentence = v.sentence()
	v.Stand = v.stand()
	return v, nil
}

// newest picks the newest entries worth a line on the wall, newest first.
func newest(all []item, n int) []item {
	var out []item
	for i := len(all) - 1; i >= 0 && len(out) < n; i-- {
		if !all[i].Quiet {
			out = append(out, all[i])
		}
	}
	return out
}

// affected counts the insured of Kassen with a vital service out of regular operation.
func (s *server) affected(cells []operation.Cell) (int, bool) {
	down := map[string]bool{}
	n, assumed := 0, false
	for _, c := range cells {
		svc, _ := s.room.Catalogue.Service(c.Service)
		out := c.Unknown || c.Regular != operation.Running && c.Regular != operation.Limited
		if svc.Criticality == 1 && out && !down[string(c.Kasse)] {
			down[string(c.Kasse)] = true
			k, _ := s.room.Catalogue.Kasse(c.Kasse)
			n += k.Insured
			assumed = assumed || k.InsuredAssumed
		}
	}
	return n, assumed
}

// phase says where the room stands, from what the placements say; several phases
// run side by side as soon as the first Kasse returns.
func phase(cells []operation.Cell, incidents []incident.Incident) string {
	var cut, emergency, rebuilding, trial, handover bool
	for _, c := range cells {
		for _, p := range c.Placements {
			cut = cut || p.Regular == operation.Cut || p.Regular == operation.Failed
			emergency = emergency || p.Emergency == operation.Active
			rebuilding = rebuilding || p.Regular == operation.Rebuilding
			trial = trial || p.Regular == operation.Trial
			handover = handover || p.Emergency == operation.HandingOver
		}
	}
	open := false
	for _, i := range incidents {
		open = open || i.ClosedAt.IsZero()
	}
	var parts []string
	for _, p := range []struct {
		holds bool
		word  string
	}{{cut, "Abgetrennt"}, {emergency, "Notbetrieb"}, {rebuilding, "Aufbau"}, {trial, "Probebetrieb"}, {handover, "Übergabe"}} {
		if p.holds {
			parts = append(parts, p.word)
		}
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, " · ")
	case open:
		return "Vorfall erklärt, alles am Netz"
	}
	return "Regelbetrieb"
}

// sentence is the situation for screen readers; it holds no clock, so that it is
// read out only when something changed.
func (v *situation) sentence() string {
	var parts []string
	for _, t := range v.Matrix.Totals {
		parts = append(parts, number(t.Count)+" "+t.Word)
	}
	return fmt.Sprintf("%s. Dienste: %s. %d offene Entscheidungen, %d offene Signale, %d überfällige Fristen.",
		v.Phase, strings.Join(parts, ", "), len(v.Decisions), v.Signals, v.Overdue)
}

// stand is a hash over everything that the screen shows, to the minute.
func (v *situation) stand() string {
	w := *v
	w.Now = v.Now.Truncate(time.Minute)
	sum := sha256.Sum256(fmt.Appendf(nil, "%v", w))
	return hex.EncodeToString(sum[:8])
}

// unlisted counts the differences between the published list and the present state.
func (s *server) unlisted(ctx context.Context) (int, error) {
	l, err := s.room.ListDraft(ctx, "Vergleich")
	if errors.Is(err, notice.ErrNoChange) {
		return 0, nil
	}
	return len(l.Changes), err
}

func (s *server) situation(w http.ResponseWriter, r *http.Request) error {
	v, err := s.gather(r)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "lage", v)
}

// situationPart is the same for an open screen; it answers with nothing when the
// screen shows it already.
func (s *server) situationPart(w http.ResponseWriter, r *http.Request) error {
	v, err := s.gather(r)
	if err != nil {
		return err
	}
	if r.URL.Query().Get("stand") == v.Stand {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return s.execute(w, http.StatusOK, "lage", "teil", v)
}

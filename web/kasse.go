package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/operation"
)

// kassePage is everything about one tenant.
type kassePage struct {
	Kasse      catalogue.Kasse
	Cells      []kasseCell
	Totals     []totalView
	Clearances []forensics.Clearance
}

type kasseCell struct {
	look
	Cell    operation.Cell
	Service catalogue.Service
	Count   string
	MTPD    time.Duration
	Since   time.Time
	Door    string
}

// kasse shows one tenant's view: all its services with state, door and owner.
func (s *server) kasse(w http.ResponseWriter, r *http.Request) error {
	k, ok := s.room.Catalogue.KasseByIK(r.PathValue("kasse"))
	if !ok {
		return &failure{status: http.StatusNotFound, text: "Diese Kasse gibt es hier nicht."}
	}
	page := kassePage{Kasse: k}
	counts := map[string]int{}
	cells := s.room.Cells()
	for _, svc := range orderedServices(s.room.Catalogue) {
		for i := range cells {
			if cells[i].Kasse != k.ID || cells[i].Service != svc.ID {
				continue
			}
			v := viewOf(&cells[i], svc)
			one := kasseCell{look: v.look, Cell: cells[i], Service: svc, Count: v.Count, MTPD: s.room.Catalogue.MTPD(k.ID, svc.ID), Door: doors(cells[i])}
			for _, p := range cells[i].Placements {
				if p.Since.After(one.Since) {
					one.Since = p.Since
				}
			}
			counts[v.Key]++
			page.Cells = append(page.Cells, one)
		}
	}
	for _, l := range looks() {
		if n := counts[l.Key]; n > 0 {
			page.Totals = append(page.Totals, totalView{l, n})
		}
	}
	for _, c := range s.room.Operation.Current().Clearances() {
		for _, subject := range c.Subjects() {
			if of, _, ok := catalogue.EnvironmentID(subject).Split(); ok && of == k.ID {
				page.Clearances = append(page.Clearances, c)
				break
			}
		}
	}
	return s.render(w, r, http.StatusOK, "kasse", page)
}

// doors says what callers get at the doors of a cell, each answer once.
func doors(c operation.Cell) string {
	var words []string
	for _, p := range c.Placements {
		if w := doorWord(p.Door); !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return joinAnd(words)
}

// doorWord is what somebody at a door gets.
func doorWord(a operation.Answer) string {
	switch {
	case a.Mode == 0:
		return "keine Tür"
	case a.Testers:
		return "Tester zum Regelsystem, alle anderen: " + a.Mode.Word()
	case a.Marked:
		return a.Mode.Word() + "; markierte Testfälle zum Regelsystem"
	}
	return a.Mode.Word()
}

func joinAnd(words []string) string {
	if len(words) == 0 {
		return "–"
	}
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " und " + words[last]
}

// cellPage is one cell with its placements and what the ledger says about them.
type cellPage struct {
	look
	Kasse      catalogue.Kasse
	Service    catalogue.Service
	Cell       operation.Cell
	MTPD       time.Duration
	Placements []placementView
	Actor      actor
}

type placementView struct {
	operation.CellPlacement
	Row     operation.Placement
	Door    string
	Needs   string
	Wants   string
	History []item
}

const history = 20

// cell shows one cell.
func (s *server) cell(w http.ResponseWriter, r *http.Request) error {
	page, err := s.cellOf(r)
	if err != nil {
		return err
	}
	for _, p := range page.Cell.Placements {
		v := placementView{CellPlacement: p, Door: doorWord(p.Door)}
		if row, ok := s.room.Operation.Current().Placement(p.ID); ok {
			v.Row = *row
		}
		if known, ok := s.room.Catalogue.Placement(p.ID); ok {
			v.Needs, v.Wants = s.formulaText(known.Needs), s.formulaText(known.Wants)
		}
		if v.History, err = s.historyOf(r, p.ID); err != nil {
			return err
		}
		page.Placements = append(page.Placements, v)
	}
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator, access.KasseDelegate); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "zelle", page)
}

func (s *server) cellOf(r *http.Request) (cellPage, error) {
	kasse, ok := s.room.Catalogue.KasseByIK(r.PathValue("kasse"))
	svc, ok2 := s.room.Catalogue.Service(catalogue.ServiceID(r.PathValue("service")))
	if ok && ok2 {
		for _, c := range s.room.Cells() {
			if c.Kasse == kasse.ID && c.Service == svc.ID {
				return cellPage{look: lookOf(c), Kasse: kasse, Service: svc, Cell: c, MTPD: s.room.Catalogue.MTPD(kasse.ID, svc.ID)}, nil
			}
		}
	}
	return cellPage{}, &failure{status: http.StatusNotFound, text: "Diesen Dienst gibt es bei dieser Kasse nicht."}
}

// historyOf is what happened to a placement: the newest entries of the ledger
// that wrote its row, and all that name it, its environment or its measure.
func (s *server) historyOf(r *http.Request, id catalogue.PlacementID) ([]item, error) {
	_, newest, err := s.follow(r.Context())
	if err != nil {
		return nil, err
	}
	var out []item
	for _, it := range newest {
		if slices.Contains(it.Touched, id) {
			out = append(out, it)
		}
	}
	for _, subject := range s.subjectsOf(id) {
		records, err := ledger.About(r.Context(), s.room.Store, subject, history)
		if err != nil {
			return nil, err
		}
		for _, rec := range records {
			out = append(out, s.item(rec))
		}
	}
	slices.SortStableFunc(out, func(a, b item) int { return cmp.Compare(b.Seq, a.Seq) })
	out = slices.CompactFunc(out, func(a, b item) bool { return a.Seq == b.Seq })
	return out[:min(len(out), history)], nil
}

// subjectsOf are the names under which the ledger knows of a placement.
func (s *server) subjectsOf(id catalogue.PlacementID) []string {
	out := []string{string(id)}
	p, ok := s.room.Operation.Current().Placement(id)
	if !ok {
		return out
	}
	out = append(out, string(p.Environment))
	if p.Cut != nil {
		out = append(out, p.Cut.Measure)
	}
	return append(out, p.Rests...)
}

// formulaText is what something rests on, in words.
func (s *server) formulaText(f catalogue.Formula) string {
	words := make([]string, 0, len(f.Of))
	for _, part := range f.Of {
		t := s.formulaText(part)
		if part.Op != catalogue.OpNode && len(f.Of) > 1 {
			t = "(" + t + ")"
		}
		words = append(words, t)
	}
	switch f.Op {
	case catalogue.OpNone:
		return ""
	case catalogue.OpNode:
		return s.nodeName(f.Node)
	case catalogue.OpAll:
		return strings.Join(words, "; ")
	case catalogue.OpAny:
		return strings.Join(words, " oder ")
	}
	return f.String()
}

// confirmCell records that somebody saw the placements of a cell in their stored state.
func (s *server) confirmCell(w http.ResponseWriter, r *http.Request) error {
	page, err := s.cellOf(r)
	if err != nil {
		return err
	}
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	reason, err := needed(r, "grund", "Bitte schreiben Sie, woran Sie den Zustand gesehen haben.")
	if err != nil {
		return err
	}
	var nodes []string
	for _, p := range page.Cell.Placements {
		nodes = append(nodes, string(p.ID))
	}
	if _, err := s.act(r.Context(), person, "state.confirm", map[string]any{"nodes": nodes, "reason": reason}); err != nil {
		return err
	}
	return seeOther(w, r, r.URL.Path)
}

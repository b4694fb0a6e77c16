package web

import (
	"fmt"
	"net/http"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/incident"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/warning"
)

// situation is what the wall shows: one screen, readable from three metres.
type situation struct {
	Now       time.Time
	Exercise  bool
	Incidents []incident.Incident
	Services  []catalogue.Service
	Rows      []row
	Totals    []total
	Decisions []access.Consent
	Signals   []warning.Signal // open ones
	List      notice.List
	Affected  int // insured people of Kassen with a vital service down
}

// row is one Kasse in the matrix.
type row struct {
	Kasse catalogue.Kasse
	Cells []cellView
}

// cellView is one cell: colour, sign and word.
type cellView struct {
	Kasse   catalogue.KasseID
	Service catalogue.Service
	Key     string // class of the colour
	Sign    string
	Word    string
	Count   string // "1/2" when not all placements are alike
	Exists  bool
}

// total counts the cells of one kind.
type total struct {
	Key, Sign, Word string
	Count           int
}

// look is how a cell appears. The order is that of the legend.
func look(c operation.Cell) (key, sign, word string) {
	switch {
	case c.Unknown:
		return "unknown", "?", "unbekannt"
	case c.Flagged:
		return "flagged", "!", "muss vom Netz"
	case c.Emergency == operation.Active:
		return "emergency", "N", "Notbetrieb"
	case c.Emergency == operation.HandingOver:
		return "handover", "⇄", "Übergabe"
	}
	switch c.Regular {
	case operation.Running:
		return "running", "✓", "läuft"
	case operation.Limited:
		return "limited", "◐", "eingeschränkt"
	case operation.Cut:
		return "cut", "✕", "abgetrennt"
	case operation.Failed:
		return "failed", "✕", "ausgefallen"
	case operation.Rebuilding:
		return "rebuilding", "↻", "im Aufbau"
	case operation.Trial:
		return "trial", "T", "Probebetrieb"
	}
	return "unknown", "?", "unbekannt"
}

func (s *server) gather(r *http.Request) (situation, error) {
	ctx := r.Context()
	v := situation{Now: s.room.Now(), Exercise: s.room.Settings.Exercise, Services: s.room.Catalogue.Services}
	v.matrix(s.room.Catalogue, s.room.Cells())
	var err error
	if v.Incidents, err = incident.List(ctx, s.room.Store); err != nil {
		return v, err
	}
	if v.Decisions, err = access.Open(ctx, s.room.Store); err != nil {
		return v, err
	}
	all, err := warning.List(ctx, s.room.Store)
	if err != nil {
		return v, err
	}
	for _, sig := range all {
		if sig.State == warning.Open {
			v.Signals = append(v.Signals, sig)
		}
	}
	v.List, err = notice.Newest(ctx, s.room.Store)
	return v, err
}

func (v *situation) matrix(c *catalogue.Catalogue, cells []operation.Cell) {
	type key struct {
		k catalogue.KasseID
		d catalogue.ServiceID
	}
	by := map[key]operation.Cell{}
	for _, cell := range cells {
		by[key{cell.Kasse, cell.Service}] = cell
	}
	counts := map[string]*total{}
	for _, k := range c.Kassen {
		one := row{Kasse: k}
		vital := false
		for _, svc := range c.Services {
			cell, ok := by[key{k.ID, svc.ID}]
			view := cellView{Kasse: k.ID, Service: svc, Exists: ok}
			if ok {
				view.Key, view.Sign, view.Word = look(cell)
				if cell.Worst < len(cell.Placements) {
					view.Count = fmt.Sprintf("%d/%d", cell.Worst, len(cell.Placements))
				}
				if counts[view.Key] == nil {
					counts[view.Key] = &total{Key: view.Key, Sign: view.Sign, Word: view.Word}
				}
				counts[view.Key].Count++
				vital = vital || svc.Criticality == 1 && view.Key != "running" && view.Key != "limited"
			}
			one.Cells = append(one.Cells, view)
		}
		if vital {
			v.Affected += k.Insured
		}
		v.Rows = append(v.Rows, one)
	}
	for _, k := range []string{"running", "limited", "emergency", "handover", "trial", "rebuilding", "cut", "failed", "flagged", "unknown"} {
		if t := counts[k]; t != nil {
			v.Totals = append(v.Totals, *t)
		}
	}
}

func (s *server) situation(w http.ResponseWriter, r *http.Request) error {
	v, err := s.gather(r)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "lage", v)
}

func (s *server) situationPart(w http.ResponseWriter, r *http.Request) error {
	v, err := s.gather(r)
	if err != nil {
		return err
	}
	return s.part(w, "lage", "teil", v)
}

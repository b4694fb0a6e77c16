package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// Readiness is the check list of one cell's emergency environment: it is worked
// off before emergency operation of the cell may be called ready.
type Readiness struct {
	Cell   string       `json:"cell"` // IK/service
	Points []ReadyPoint `json:"points"`
	By     string       `json:"by"`
	At     time.Time    `json:"at"`
}

// ReadyPoint is one point. It ends with evidence, or with why it does not apply.
type ReadyPoint struct {
	ID       string    `json:"id"`
	Text     string    `json:"text"`
	Norm     string    `json:"norm,omitempty"`
	Must     bool      `json:"must,omitempty"` // law: it cannot be left out
	Evidence string    `json:"evidence,omitempty"`
	NotDone  string    `json:"not_done,omitempty"`
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

// ErrNotReady says that points are open.
var ErrNotReady = errors.New("the check list of the emergency environment is not complete")

func (Readiness) docKind() string { return "readiness" }

func (r Readiness) docID() string { return r.Cell }

// readyPoints are the points, in the order of the work.
func readyPoints() []ReadyPoint {
	return []ReadyPoint{
		{ID: "nb-01", Norm: "SGB X § 80", Must: true, Text: "Auftragsverarbeitung ist der Aufsichtsbehörde angezeigt: Auftragnehmer, Art der Daten, Zweck, Maßnahmen, Unterauftragnehmer"},
		{ID: "nb-02", Norm: "SGB V § 393", Must: true, Text: "bei Cloud-Diensten: gültiges C5-Testat (Typ 2) liegt vor, Ort der Verarbeitung und Niederlassung sind zulässig; sonst: belegt, dass kein Cloud-Dienst beteiligt ist"},
		{ID: "nb-03", Norm: "DSGVO Art. 28", Text: "Vertrag zur Auftragsverarbeitung ist unterschrieben"},
		{ID: "nb-04", Text: "Umgebung ist getrennt vom betroffenen Netz: eigene Konten, keine Wege, keine alten Schlüssel"},
		{ID: "nb-05", Text: "Personen sind angelegt, zweiter Faktor ist ausgegeben, Vertretung ist geregelt"},
		{ID: "nb-06", Text: "Annahme mit Testvorgängen probiert: Nummer, Buch, Zurücklegen, Anzeige für die Kasse"},
		{ID: "nb-07", Text: "Rückweg probiert: Übergabe von Testvorgängen, Quittung geprüft, Bücher verglichen"},
		{ID: "nb-08", Text: "Sicherung läuft, Rücksicherung ist probiert"},
		{ID: "nb-09", Text: "Papierverfahren und Erreichbarkeit ohne Firmenverzeichnis liegen ausgedruckt vor"},
	}
}

// NewReadiness begins the list of a cell.
func NewReadiness(now time.Time, k catalogue.KasseID, d catalogue.ServiceID, by string) Readiness {
	return Readiness{Cell: string(k) + "/" + string(d), Points: readyPoints(), By: by, At: db.Trim(now)}
}

// Settle answers a point. A point of law needs evidence.
func (r Readiness) Settle(now time.Time, by, point, evidence, notDone string) (Readiness, error) {
	i := slices.IndexFunc(r.Points, func(p ReadyPoint) bool { return p.ID == point })
	evidence, notDone = strings.TrimSpace(evidence), strings.TrimSpace(notDone)
	switch {
	case i < 0:
		return r, fmt.Errorf("the list of %s has no point %q", r.Cell, point)
	case (evidence == "") == (notDone == ""):
		return r, fmt.Errorf("point %q: evidence, or why it is left out, not both", point)
	case notDone != "" && r.Points[i].Must:
		return r, fmt.Errorf("point %q: %s asks for it, it cannot be left out", point, r.Points[i].Norm)
	}
	r.Points = slices.Clone(r.Points)
	p := &r.Points[i]
	p.Evidence, p.NotDone, p.By, p.At = evidence, notDone, by, db.Trim(now)
	return r, nil
}

// Ready says which points are open.
func (r Readiness) Ready() error {
	var open []string
	for _, p := range r.Points {
		if p.By == "" {
			open = append(open, strings.TrimSpace(p.ID+" "+p.Norm))
		}
	}
	if len(open) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", r.Cell, ErrNotReady, strings.Join(open, ", "))
}

// ReadinessOf reads the list of a cell.
func ReadinessOf(ctx context.Context, q db.Querier, cell string) (Readiness, error) {
	return readDoc[Readiness](ctx, q, cell)
}

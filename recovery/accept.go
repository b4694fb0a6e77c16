package recovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// Acceptance is the test of one cell before it goes back to regular operation: a
// technical probe, business cases that the Kasse's delegate carries out, and
// what exactly works when not all does. Its methods change a copy.
type Acceptance struct {
	ID       string              `json:"id"`
	Kasse    catalogue.KasseID   `json:"kasse"`
	Service  catalogue.ServiceID `json:"service"`
	By       string              `json:"by"`
	At       time.Time           `json:"at"`
	Probe    *Probing            `json:"probe,omitempty"` // the newest
	Cases    []Case              `json:"cases"`
	Limited  bool                `json:"limited,omitempty"`
	Paths    []string            `json:"paths,omitempty"` // that the door lets through while limited
	Works    []string            `json:"works,omitempty"`
	WorksNot []string            `json:"works_not,omitempty"`
	Done     time.Time           `json:"done,omitzero"` // it was accepted
}

// Probing is the technical test: what was looked at, by whom, with which record.
type Probing struct {
	Passed bool      `json:"passed"`
	Ref    string    `json:"ref"` // number or file of the record
	Detail string    `json:"detail,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// CaseResult is what a business case brought. The zero value is not tried.
type CaseResult string

// The results.
const (
	NotTried CaseResult = ""
	Passed   CaseResult = "passed"
	Failed   CaseResult = "failed"
)

// Case is one named business case.
type Case struct {
	Name   string     `json:"name"`
	Expect string     `json:"expect"` // what should be seen
	Result CaseResult `json:"result,omitempty"`
	Seen   string     `json:"seen,omitempty"`
	By     string     `json:"by,omitempty"`
	At     time.Time  `json:"at,omitzero"`
}

// ErrNotAccepted says what an acceptance still lacks.
var ErrNotAccepted = errors.New("the cell is not accepted yet")

func (Acceptance) docKind() string { return "acceptance" }

func (a Acceptance) docID() string { return a.ID }

// CasesOf are the business cases that are asked of a service; a Kasse may name
// others.
func CasesOf(d catalogue.ServiceID) []Case {
	switch d {
	case "eau":
		return []Case{
			{Name: "Test-eAU einer Praxis", Expect: "kommt an und steht im Fachverfahren beim richtigen Versicherten"},
			{Name: "Storno einer eAU", Expect: "die stornierte eAU gilt nicht mehr"},
			{Name: "fehlerhafte eAU", Expect: "die Praxis bekommt die Fehlermeldung mit dem richtigen Schlüssel"},
			{Name: "Abruf durch einen Arbeitgeber", Expect: "die Rückmeldung enthält genau den Testzeitraum"},
		}
	case "zahl":
		return []Case{
			{Name: "Zahllauf mit Testbeträgen", Expect: "Anzahl und Summe stimmen mit dem Bestand überein"},
			{Name: "im Notbetrieb gezahltes Krankengeld", Expect: "steht als gezahlt im Bestand und wird nicht erneut angewiesen"},
			{Name: "geänderte Bankverbindung", Expect: "die Änderung aus dem Notbetrieb gilt"},
		}
	case "epa":
		return []Case{
			{Name: "Akte eines Testversicherten öffnen", Expect: "alle Dokumente sind da und lassen sich lesen"},
			{Name: "Dokument einstellen", Expect: "es ist in der Akte und beim Leistungserbringer sichtbar"},
			{Name: "Berechtigung entziehen", Expect: "der Zugriff ist sofort zu"},
		}
	}
	return []Case{
		{Name: "bekannter Vorgang", Expect: "ein Vorgang von vor der Trennung ist vollständig da"},
		{Name: "Vorgang aus dem Notbetrieb", Expect: "ein übergebener Vorgang ist da, genau einmal"},
		{Name: "neuer Vorgang", Expect: "lässt sich anlegen, ändern und wiederfinden"},
	}
}

// NewAcceptance begins the test of a cell.
func NewAcceptance(now time.Time, k catalogue.KasseID, d catalogue.ServiceID, cases []Case, by string) (Acceptance, error) {
	if len(cases) == 0 {
		cases = CasesOf(d)
	}
	a := Acceptance{ID: "ab-" + strings.ToLower(rand.Text()[:8]), Kasse: k, Service: d, By: by, At: db.Trim(now)}
	for _, c := range cases {
		c = Case{Name: strings.TrimSpace(c.Name), Expect: strings.TrimSpace(c.Expect)}
		if c.Name == "" || c.Expect == "" || slices.ContainsFunc(a.Cases, func(o Case) bool { return o.Name == c.Name }) {
			return a, fmt.Errorf("case %q: a name of its own and what is expected are needed", c.Name)
		}
		a.Cases = append(a.Cases, c)
	}
	return a, nil
}

func (a Acceptance) open() error {
	if !a.Done.IsZero() {
		return fmt.Errorf("acceptance %q is done: begin another one", a.ID)
	}
	return nil
}

// Probed notes a technical probe; a newer one replaces an older one.
func (a Acceptance) Probed(now time.Time, by string, passed bool, ref, detail string) (Acceptance, error) {
	if err := a.open(); err != nil {
		return a, err
	}
	if strings.TrimSpace(ref) == "" || !passed && strings.TrimSpace(detail) == "" {
		return a, errors.New("a probe names its record, and one that failed says what was seen")
	}
	a.Probe = &Probing{Passed: passed, Ref: strings.TrimSpace(ref), Detail: strings.TrimSpace(detail), By: by, At: db.Trim(now)}
	return a, nil
}

// Tried notes what a case brought. A case may be tried again.
func (a Acceptance) Tried(now time.Time, by, name string, r CaseResult, seen string) (Acceptance, error) {
	if err := a.open(); err != nil {
		return a, err
	}
	i := slices.IndexFunc(a.Cases, func(c Case) bool { return c.Name == name })
	switch {
	case i < 0:
		return a, fmt.Errorf("acceptance %q has no case %q", a.ID, name)
	case r != Passed && r != Failed:
		return a, fmt.Errorf("case %q: %q is none of passed, failed", name, r)
	case strings.TrimSpace(seen) == "":
		return a, fmt.Errorf("case %q: say what was seen", name)
	}
	a.Cases = slices.Clone(a.Cases)
	c := &a.Cases[i]
	c.Result, c.Seen, c.By, c.At = r, strings.TrimSpace(seen), by, db.Trim(now)
	return a, nil
}

// Limit says exactly what works and what does not: the cell is accepted into
// limited operation. Nothing named lifts the limit.
func (a Acceptance) Limit(paths, works, worksNot []string) (Acceptance, error) {
	if err := a.open(); err != nil {
		return a, err
	}
	if len(paths)+len(works)+len(worksNot) > 0 && (len(paths) == 0 || len(works) == 0 || len(worksNot) == 0) {
		return a, errors.New("limited operation names the open paths, what works and what does not work")
	}
	a.Limited, a.Paths, a.Works, a.WorksNot = len(paths) > 0, slices.Clone(paths), slices.Clone(works), slices.Clone(worksNot)
	return a, nil
}

// Ready says what is missing: a probe that passed, every case tried, none
// failed unless the limits name it.
func (a Acceptance) Ready() error {
	var missing []string
	if a.Probe == nil || !a.Probe.Passed {
		missing = append(missing, "technische Probe bestanden")
	}
	for _, c := range a.Cases {
		switch {
		case c.Result == NotTried:
			missing = append(missing, "Fachprobe „"+c.Name+"“")
		case c.Result == Failed && !slices.Contains(a.WorksNot, c.Name):
			missing = append(missing, "Fachprobe „"+c.Name+"“ ist nicht bestanden: beheben, oder als „geht nicht“ in die Einschränkung aufnehmen")
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", a.ID, ErrNotAccepted, strings.Join(missing, "; "))
}

// Acceptances reads all, oldest first.
func Acceptances(ctx context.Context, q db.Querier) ([]Acceptance, error) {
	return readDocs[Acceptance](ctx, q)
}

// AcceptanceByID reads one.
func AcceptanceByID(ctx context.Context, q db.Querier, id string) (Acceptance, error) {
	return readDoc[Acceptance](ctx, q, id)
}

// OpenAcceptance finds the newest one of a cell that is not done.
func OpenAcceptance(ctx context.Context, q db.Querier, k catalogue.KasseID, d catalogue.ServiceID) (Acceptance, bool, error) {
	all, err := Acceptances(ctx, q)
	if err != nil {
		return Acceptance{}, false, err
	}
	for _, a := range slices.Backward(all) {
		if a.Kasse == k && a.Service == d && a.Done.IsZero() {
			return a, true, nil
		}
	}
	return Acceptance{}, false, nil
}

package recovery

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/operation"
	"leitstand/pure/paper"
)

// Proof is what an outside partner gets before reconnecting: what was examined,
// which keys were changed, what is not done. It holds no secret and no finding
// in detail, only who stated what on which evidence.
type Proof struct {
	Partner    string       `json:"partner"`
	Placements []string     `json:"placements"`
	At         time.Time    `json:"at"`
	Scopes     []ScopeProof `json:"scopes"`
	Complete   bool         `json:"complete"`
}

// ScopeProof is one environment or component that the placements rest on.
type ScopeProof struct {
	Scope      string                `json:"scope"`
	Clearances []forensics.Clearance `json:"clearances,omitempty"` // valid ones
	Rotations  []forensics.Rotation  `json:"rotations,omitempty"`
	Missing    []string              `json:"missing,omitempty"`
}

// ProofFor collects the proof for placements and everything they rest on.
func ProofFor(now time.Time, c *catalogue.Catalogue, s *operation.State, partner string, places []catalogue.PlacementID) (Proof, error) {
	p := Proof{Partner: strings.TrimSpace(partner), At: db.Trim(now), Complete: true}
	if p.Partner == "" || len(places) == 0 {
		return p, fmt.Errorf("a proof is for a partner and for placements")
	}
	scopes := map[forensics.Scope]bool{}
	for _, id := range places {
		if _, ok := c.Placement(id); !ok {
			return p, fmt.Errorf("placement %q is not in the catalogue", id)
		}
		p.Placements = append(p.Placements, string(id))
		restsOn(c, string(id), map[string]bool{}, scopes)
	}
	slices.Sort(p.Placements)
	for scope := range scopes {
		one := scopeProof(now, s, scope)
		p.Complete = p.Complete && len(one.Missing) == 0
		p.Scopes = append(p.Scopes, one)
	}
	slices.SortFunc(p.Scopes, func(a, b ScopeProof) int { return strings.Compare(a.Scope, b.Scope) })
	return p, nil
}

// restsOn collects environments and components through all dependencies.
func restsOn(c *catalogue.Catalogue, id string, seen map[string]bool, scopes map[forensics.Scope]bool) {
	if seen[id] {
		return
	}
	seen[id] = true
	var needs []string
	if p, ok := c.Placement(catalogue.PlacementID(id)); ok {
		scopes[forensics.Scope{Kind: forensics.Environment, ID: string(p.Environment)}] = true
		needs = p.Needs.Nodes()
	} else if m, ok := c.Component(catalogue.ComponentID(id)); ok {
		scopes[forensics.Scope{Kind: forensics.Component, ID: id}] = true
		needs = m.Needs.Nodes()
	}
	for _, n := range needs {
		restsOn(c, n, seen, scopes)
	}
}

func scopeProof(now time.Time, s *operation.State, scope forensics.Scope) ScopeProof {
	out := ScopeProof{Scope: scope.String()}
	for _, v := range s.Clearances() {
		if v.Valid(now) && (v.Scope == scope || slices.Contains(v.Covers, scope.ID)) {
			out.Clearances = append(out.Clearances, v)
		}
	}
	for _, v := range s.Rotations() {
		if slices.Contains(v.Subjects(), scope.ID) {
			out.Rotations = append(out.Rotations, v)
		}
	}
	if len(out.Clearances) == 0 {
		out.Missing = append(out.Missing, "keine gültige Freigabe")
	}
	if len(out.Rotations) == 0 {
		out.Missing = append(out.Missing, "kein Nachweis getauschter Schlüssel")
	}
	return out
}

// Digest is the SHA-256 of the proof: what the partner got can be told later.
func (p Proof) Digest() (string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encoding the proof for %q: %w", p.Partner, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Form is the proof on paper.
func (p Proof) Form(room string, exercise bool) (paper.Form, error) {
	digest, err := p.Digest()
	if err != nil {
		return paper.Form{}, err
	}
	f := paper.Form{
		Title: "Nachweis zum Wiederanschluss: " + p.Partner, Exercise: exercise,
		Facts:  [][2]string{{"Raum", room}, {"Stand", p.At.Format("02.01.2006 15:04 MST")}, {"Stellen", strings.Join(p.Placements, ", ")}},
		Fields: []string{"Für den Dienstleister", "Für den Partner", "Datum"},
		Foot:   "SHA-256 " + digest,
	}
	for _, s := range p.Scopes {
		f.Steps = append(f.Steps, s.line())
	}
	if !p.Complete {
		f.Notes = append(f.Notes, "DIESER NACHWEIS IST NICHT VOLLSTÄNDIG: nicht wieder anschließen.")
	}
	return f, nil
}

func (s ScopeProof) line() string {
	var parts []string
	for _, c := range s.Clearances {
		names := make([]string, len(c.Evidence))
		for i, e := range c.Evidence {
			names[i] = e.Name + " (" + e.SHA256[:min(12, len(e.SHA256))] + ")"
		}
		parts = append(parts, fmt.Sprintf("geprüft (%s) von %s und %s am %s, gültig bis %s, Belege: %s", c.Check, c.Examiner, c.Second,
			c.GrantedAt.Format("02.01.2006"), c.Until.Format("02.01.2006"), strings.Join(names, ", ")))
		if c.Conditions != "" {
			parts = append(parts, "Auflagen: "+c.Conditions)
		}
	}
	for _, r := range s.Rotations {
		parts = append(parts, fmt.Sprintf("Schlüssel getauscht am %s, belegt von %s", r.RotatedAt.Format("02.01.2006 15:04"), r.By))
	}
	for _, m := range s.Missing {
		parts = append(parts, "FEHLT: "+m)
	}
	return s.Scope + ": " + strings.Join(parts, "; ")
}

// Reconnection is the record that a partner was connected again, on which proof.
type Reconnection struct {
	ID         string    `json:"id"`
	Partner    string    `json:"partner"`
	Placements []string  `json:"placements"`
	Digest     string    `json:"digest"` // of the proof
	By         string    `json:"by"`
	Answer     string    `json:"answer"` // the partner's word: who agreed, when, how
	At         time.Time `json:"at"`
}

func (Reconnection) docKind() string { return "reconnection" }

func (r Reconnection) docID() string { return r.ID }

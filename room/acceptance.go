package room

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/warning"
)

type acceptanceArgs struct {
	ID       string              `json:"id,omitempty"`
	Kasse    catalogue.KasseID   `json:"kasse,omitempty"`
	Service  catalogue.ServiceID `json:"service,omitempty"`
	Cases    []recovery.Case     `json:"cases,omitempty"`
	Passed   bool                `json:"passed,omitempty"`
	Ref      string              `json:"ref,omitempty"`
	Name     string              `json:"name,omitempty"`
	Seen     string              `json:"seen,omitempty"`
	Paths    []string            `json:"paths,omitempty"`
	Works    []string            `json:"works,omitempty"`
	WorksNot []string            `json:"works_not,omitempty"`
}

// changeAcceptance changes one by one person and puts it on record.
func (r *Room) changeAcceptance(ctx context.Context, as access.Person, id, kind string, may func(k catalogue.KasseID) error,
	change func(a recovery.Acceptance, now time.Time) (recovery.Acceptance, error),
) (recovery.Acceptance, error) {
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (recovery.Acceptance, error) {
		a, err := recovery.AcceptanceByID(ctx, tx, id)
		if err != nil {
			return a, err
		}
		if err := may(a.Kasse); err != nil {
			return a, err
		}
		if a, err = change(a, now); err != nil {
			return a, err
		}
		return a, recovery.Put(ctx, tx, now, as.ID, kind, "", a)
	})
}

// openAcceptance begins the test of a cell.
func openAcceptance(ctx context.Context, r *Room, as access.Person, a acceptanceArgs) (recovery.Acceptance, error) {
	if err := r.leads(as, a.Kasse); err != nil {
		return recovery.Acceptance{}, err
	}
	if len(r.Catalogue.PlacementsOf(a.Kasse, a.Service)) == 0 {
		return recovery.Acceptance{}, fmt.Errorf("the catalogue has no cell %s/%s", a.Kasse, a.Service)
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (recovery.Acceptance, error) {
		if have, ok, err := recovery.OpenAcceptance(ctx, tx, a.Kasse, a.Service); err != nil || ok {
			return have, err // it is under way
		}
		n, err := recovery.NewAcceptance(now, a.Kasse, a.Service, a.Cases, as.ID)
		if err != nil {
			return n, err
		}
		return n, recovery.Put(ctx, tx, now, as.ID, "acceptance.opened", "", n)
	})
}

// probeAcceptance notes the technical probe: operators do it.
func probeAcceptance(ctx context.Context, r *Room, as access.Person, a acceptanceArgs) (recovery.Acceptance, error) {
	may := func(catalogue.KasseID) error {
		if as.Has(access.Operator) || as.Has(access.CrisisLead) {
			return nil
		}
		return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Die technische Probe führt der Betrieb durch."}
	}
	return r.changeAcceptance(ctx, as, a.ID, "acceptance.probed", may, func(v recovery.Acceptance, now time.Time) (recovery.Acceptance, error) {
		return v.Probed(now, as.ID, a.Passed, a.Ref, a.Seen)
	})
}

// tryAcceptance notes a business case: only the Kasse's delegate says what was seen.
func tryAcceptance(ctx context.Context, r *Room, as access.Person, a acceptanceArgs) (recovery.Acceptance, error) {
	result := recovery.Failed
	if a.Passed {
		result = recovery.Passed
	}
	return r.changeAcceptance(ctx, as, a.ID, "acceptance.tried", r.onlyDelegate(as), func(v recovery.Acceptance, now time.Time) (recovery.Acceptance, error) {
		return v.Tried(now, as.ID, a.Name, result, a.Seen)
	})
}

// limitAcceptance says exactly what works: the Kasse's delegate decides that.
func limitAcceptance(ctx context.Context, r *Room, as access.Person, a acceptanceArgs) (recovery.Acceptance, error) {
	return r.changeAcceptance(ctx, as, a.ID, "acceptance.limited", r.onlyDelegate(as), func(v recovery.Acceptance, _ time.Time) (recovery.Acceptance, error) {
		return v.Limit(a.Paths, a.Works, a.WorksNot)
	})
}

func (r *Room) onlyDelegate(as access.Person) func(k catalogue.KasseID) error {
	return func(k catalogue.KasseID) error {
		if r.mayRead(as, k) {
			return nil
		}
		return &Failure{Rule: int(operation.RuleTwoPeople), Text: fmt.Sprintf("Die Fachprobe ist Sache der Vertretung der Kasse %s.", k)}
	}
}

// AcceptanceStatus is an acceptance with what it lacks and what the early warning
// noticed about its environments since it was done.
type AcceptanceStatus struct {
	recovery.Acceptance
	Missing string   `json:"missing,omitempty"`
	Signals []string `json:"signals,omitempty"` // undecided
}

func acceptances(ctx context.Context, r *Room, _ none) ([]AcceptanceStatus, error) {
	all, err := recovery.Acceptances(ctx, r.Store)
	if err != nil {
		return nil, err
	}
	out := []AcceptanceStatus{}
	for _, a := range slices.Backward(all) {
		s := AcceptanceStatus{Acceptance: a}
		if err := a.Ready(); err != nil && a.Done.IsZero() {
			s.Missing = err.Error()
		}
		if !a.Done.IsZero() {
			for _, p := range r.Catalogue.PlacementsOf(a.Kasse, a.Service) {
				ids, err := r.undecidedSignals(ctx, p.Environment, a.Done)
				if err != nil {
					return nil, err
				}
				s.Signals = append(s.Signals, ids...)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// undecidedSignals are those about an environment since a moment. In observation
// they stand against its end, whatever their level.
func (r *Room) undecidedSignals(ctx context.Context, e catalogue.EnvironmentID, since time.Time) ([]string, error) {
	all, err := warning.List(ctx, r.Store)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range all {
		if s.Environment == e && (s.State == warning.Open || s.State == warning.Acknowledged) && !s.Last.Before(since) {
			out = append(out, s.ID)
		}
	}
	return out, nil
}

// observed refuses the end of observation while the early warning has something
// about an environment that nobody has decided: every signal counts, also those
// that in other times may wait.
func (r *Room) observed(ctx context.Context, places []catalogue.PlacementID) error {
	for _, id := range places {
		row, ok := r.Operation.Current().Placement(id)
		if !ok {
			continue
		}
		began := row.ObserveUntil.Add(-r.Operation.Current().Settings().Observation)
		p, _ := r.Catalogue.Placement(id)
		open, err := r.undecidedSignals(ctx, p.Environment, began)
		if err != nil {
			return err
		}
		if len(open) > 0 {
			return &Failure{Rule: int(operation.RuleGate), Text: fmt.Sprintf(
				"Seit der Abnahme von %s hat die Frühwarnung etwas gemeldet, über das niemand entschieden hat: %s.", id, strings.Join(open, ", "))}
		}
	}
	return nil
}

// accepted gives the acceptance of a cell, refused while it lacks something. A
// practice room may do without one, but not with an unfinished one.
func (r *Room) accepted(ctx context.Context, k catalogue.KasseID, d catalogue.ServiceID) (recovery.Acceptance, bool, error) {
	a, ok, err := recovery.OpenAcceptance(ctx, r.Store, k, d)
	if err != nil {
		return a, false, err
	}
	if !ok {
		if r.Settings.Exercise {
			return a, false, nil
		}
		return a, false, &Failure{Rule: int(operation.RuleGate), Text: fmt.Sprintf(
			"Für %s/%s gibt es keine Abnahme. Erst proben: leitstand acceptance open %s/%s.", k, d, k, d)}
	}
	if err := a.Ready(); err != nil {
		return a, false, &Failure{Rule: int(operation.RuleGate), Text: err.Error(), err: err}
	}
	return a, true, nil
}

type proofArgs struct {
	Partner    string                  `json:"partner"`
	Placements []catalogue.PlacementID `json:"placements"`
	Answer     string                  `json:"answer,omitempty"`
}

// PartnerProof is a proof package with its print.
type PartnerProof struct {
	recovery.Proof
	Digest string `json:"digest"`
	PDF    []byte `json:"pdf"`
}

// proofForPartner collects what a partner gets before reconnecting.
func proofForPartner(_ context.Context, r *Room, a proofArgs) (PartnerProof, error) {
	p, err := recovery.ProofFor(r.Now(), r.Catalogue, r.Operation.Current(), a.Partner, a.Placements)
	if err != nil {
		return PartnerProof{}, err
	}
	out := PartnerProof{Proof: p}
	form, err := p.Form(r.Settings.Name, r.Settings.Exercise)
	if err != nil {
		return out, err
	}
	if out.Digest, err = p.Digest(); err != nil {
		return out, err
	}
	var b bytes.Buffer
	err = form.PDF(&b)
	out.PDF = b.Bytes()
	return out, err
}

// reconnectPartner records that a partner was connected again, on which proof
// and on whose word. An incomplete proof reconnects nobody.
func reconnectPartner(ctx context.Context, r *Room, as access.Person, a proofArgs) (recovery.Reconnection, error) {
	if !as.Has(access.CrisisLead) {
		return recovery.Reconnection{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Den Wiederanschluss eines Partners ordnet die Leitung des Stabs an."}
	}
	if strings.TrimSpace(a.Answer) == "" {
		return recovery.Reconnection{}, errors.New("say who agreed for the partner, when and how")
	}
	p, err := proofForPartner(ctx, r, a)
	if err != nil {
		return recovery.Reconnection{}, err
	}
	if !p.Complete {
		return recovery.Reconnection{}, &Failure{Rule: int(operation.RuleGate), Text: "Der Nachweis ist nicht vollständig: es fehlen Freigaben oder getauschte Schlüssel."}
	}
	out := recovery.Reconnection{
		ID: "wa-" + strings.ToLower(rand.Text()[:8]), Partner: p.Partner, Placements: p.Placements, Digest: p.Digest, By: as.ID, Answer: a.Answer, At: db.Trim(r.Now()),
	}
	return out, r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		return recovery.Put(ctx, tx, r.Now(), as.ID, "partner.reconnected", a.Answer, out)
	})
}

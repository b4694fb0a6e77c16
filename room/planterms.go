package room

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/operation"
	"leitstand/recovery"
)

// askTerms is the kind of consent with which a second person agrees to other terms
// of the plan: teams, durations, weights, who comes first.
const askTerms = "plan.terms"

// maxReason is how long a reason may be, in bytes.
const maxReason = 1000

type agreeArgs struct {
	Terms  recovery.Terms `json:"terms"`
	Reason string         `json:"reason"`
}

// TermsCompared is what other terms would mean.
type TermsCompared struct {
	Changes []recovery.TermsChange `json:"changes"`
	Answer  *recovery.Answer       `json:"answer,omitempty"` // nil when nothing is to return
}

// TermsAsked is a request for other terms, with what they would mean.
type TermsAsked struct {
	Consent access.Consent `json:"consent"`
	TermsCompared
}

// ShownTerms is what the second person agrees to.
type ShownTerms struct {
	Terms   int64                  `json:"terms"` // version that they change
	Changes []recovery.TermsChange `json:"changes"`
	Reason  string                 `json:"reason"`
}

// agreeTerms asks a second person to agree to other terms, and shows what they
// would mean for each Kasse.
func agreeTerms(ctx context.Context, r *Room, as access.Person, a agreeArgs) (out TermsAsked, err error) {
	if a.Reason == "" || len(a.Reason) > maxReason {
		return out, fmt.Errorf("a reason of up to %d bytes is needed: terms of the plan are a decision", maxReason)
	}
	shown, err := r.shownTerms(ctx, r.Store, a)
	if err != nil {
		return out, err
	}
	if err := r.mayChangeTerms(ctx, a.Terms, as); err != nil {
		return out, err
	}
	if out.TermsCompared, err = r.compareTerms(ctx, a.Terms); err != nil {
		return out, err
	}
	out.Consent, err = ask(ctx, r, as, access.Question{Kind: askTerms, Summary: "Vereinbarungen der Wiederherstellung: " + a.Reason, Payload: a, Shown: shown})
	return out, err
}

type preferArgs struct {
	Priorities recovery.Priorities `json:"priorities"`
	Reason     string              `json:"reason"`
}

// preferPriorities is agreeTerms for what comes first alone.
func preferPriorities(ctx context.Context, r *Room, as access.Person, a preferArgs) (TermsAsked, error) {
	t, err := recovery.CurrentTerms(ctx, r.Store)
	if err != nil {
		return TermsAsked{}, err
	}
	t.Priorities = a.Priorities
	return agreeTerms(ctx, r, as, agreeArgs{t, a.Reason})
}

// ErrTermsOvertaken says that others have agreed to terms since these were read.
var ErrTermsOvertaken = errors.New("others have agreed to terms since: start again from those in force")

// ErrSameTerms says that nothing would change.
var ErrSameTerms = errors.New("these are the terms in force already")

// shownTerms is what is decided; it checks the terms.
func (r *Room) shownTerms(ctx context.Context, q db.Querier, a agreeArgs) (ShownTerms, error) {
	last, err := recovery.CurrentTerms(ctx, q)
	if err != nil {
		return ShownTerms{}, err
	}
	if a.Terms.Version != last.Version {
		return ShownTerms{}, fmt.Errorf("terms of version %d, version %d is in force: %w", a.Terms.Version, last.Version, ErrTermsOvertaken)
	}
	if err := errors.Join(a.Terms.Check(), a.Terms.In(r.Catalogue)); err != nil {
		return ShownTerms{}, err
	}
	a.Terms.Assumed = false
	shown := ShownTerms{Terms: last.Version, Changes: last.Changes(a.Terms, r.Catalogue, Zone()), Reason: a.Reason}
	if len(shown.Changes) == 0 {
		return shown, ErrSameTerms
	}
	return shown, nil
}

// compareTerms shows what other terms would mean, and changes nothing. It asks for
// no reason.
func compareTerms(ctx context.Context, r *Room, a agreeArgs) (TermsCompared, error) {
	if _, err := r.shownTerms(ctx, r.Store, a); err != nil {
		return TermsCompared{}, err
	}
	return r.compareTerms(ctx, a.Terms)
}

// TermsRequest is what a request for other terms would do now.
func (r *Room) TermsRequest(ctx context.Context, c access.Consent) (TermsCompared, error) {
	a, err := payload[agreeArgs](c)
	if err != nil {
		return TermsCompared{}, err
	}
	return r.compareTerms(ctx, a.Terms)
}

// compared says which comparison it is: of these terms and this state.
type compared struct {
	sum  [sha256.Size]byte
	plan string
	slot int64
}

func (r *Room) compareTerms(ctx context.Context, t recovery.Terms) (out TermsCompared, err error) {
	g, err := r.ground(ctx)
	if err != nil {
		return out, err
	}
	t.Assumed = false
	out.Changes = g.Terms.Changes(t, r.Catalogue, Zone())
	inForce, err := recovery.GetPlan(ctx, r.Store, "")
	if err != nil && !errors.Is(err, recovery.ErrNoPlan) {
		return out, err
	}
	key := compared{slot: g.Now.Truncate(recovery.Slot).Unix()}
	if err == nil {
		key.plan = inForce.ID
	}
	body, err := json.Marshal([]any{t, g.Situation, g.Reports})
	if err != nil {
		return out, fmt.Errorf("encoding what terms are compared on: %w", err)
	}
	key.sum = sha256.Sum256(body)
	out.Answer, err = r.comparisons.get(key, func() (*recovery.Answer, error) {
		return recovery.AskTerms(ctx, g, inForce, t, recovery.Search{})
	})
	if errors.Is(err, recovery.ErrNothing) {
		err = nil // agreed in quiet times: there is nothing to compare
	}
	return out, err
}

// mayChangeTerms says who decides about what: the Kassen about what comes first only.
func (r *Room) mayChangeTerms(ctx context.Context, next recovery.Terms, people ...access.Person) error {
	last, err := recovery.CurrentTerms(ctx, r.Store)
	if err != nil {
		return err
	}
	last.Priorities, last.Assumed, next.Assumed = next.Priorities, false, false
	onlyFirst := len(last.Changes(next, r.Catalogue, Zone())) == 0
	for _, p := range people {
		if err := maySetPriorities(p); err != nil {
			return err
		}
		if !onlyFirst && !p.Has(access.CrisisLead) && !p.Has(access.Operator) {
			return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Teams, Dauern und Termine vereinbaren Leitung und Betrieb; die Kassen entscheiden mit, was zuerst kommt."}
		}
	}
	return nil
}

// maySetPriorities says who decides what comes first.
func maySetPriorities(p access.Person) error {
	if p.Has(access.CrisisLead) || p.Has(access.Operator) || p.Has(access.KasseDelegate) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Prioritäten entscheiden zwei von Leitung, Betrieb und Kassen; eine der beiden Personen muss zur Leitung gehören."}
}

// approveTerms needs somebody of the lead among the two.
func approveTerms(ctx context.Context, r *Room, c access.Consent, first, second access.Person) (Outcome, error) {
	a, err := payload[agreeArgs](c)
	if err != nil {
		return Outcome{}, err
	}
	if err := r.mayChangeTerms(ctx, a.Terms, first, second); err != nil {
		return Outcome{}, err
	}
	if !first.Has(access.CrisisLead) && !second.Has(access.CrisisLead) {
		return Outcome{}, maySetPriorities(access.Person{})
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		shown, err := r.shownTerms(ctx, tx, a)
		if errors.Is(err, ErrTermsOvertaken) {
			err = fmt.Errorf("%w: %w", access.ErrChanged, err)
		}
		if err != nil {
			return out, fmt.Errorf("request %q: %w", c.ID, err)
		}
		if out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return shown, nil }); err != nil {
			return out, err
		}
		a.Terms.Assumed = false
		out.Done, err = recovery.PutTerms(ctx, tx, now, first.ID, second.ID, a.Reason, a.Terms)
		return out, err
	})
}

package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/operation"
	"leitstand/recovery"
)

// askPriorities is the kind of consent with which a second person changes priorities.
const askPriorities = "priorities"

type agreeArgs struct {
	Terms  recovery.Terms `json:"terms"`
	Reason string         `json:"reason"`
}

// agreeTerms sets teams, durations and dates for plans to come. Priorities are
// changed by two people only.
func agreeTerms(ctx context.Context, r *Room, as access.Person, a agreeArgs) (recovery.Terms, error) {
	if !as.Has(access.CrisisLead) && !as.Has(access.Operator) {
		return a.Terms, &Failure{Text: "Teams und Zeiten der Planung ändern Leitung oder Betrieb."}
	}
	if a.Reason == "" {
		return a.Terms, errors.New("a reason is needed")
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (recovery.Terms, error) {
		last, err := recovery.CurrentTerms(ctx, tx)
		if err != nil {
			return a.Terms, err
		}
		if !reflect.DeepEqual(plain(last.Priorities), plain(a.Terms.Priorities)) || last.Fairness != a.Terms.Fairness || !reflect.DeepEqual(last.Emergency, a.Terms.Emergency) {
			return a.Terms, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Prioritäten (auch Gerechtigkeit und Notbetriebsanteile) ändern zwei Personen mit Begründung: leitstand plan priorities."}
		}
		a.Terms.Assumed = false
		return recovery.PutTerms(ctx, tx, now, as.ID, "", a.Reason, a.Terms)
	})
}

// plain makes absent and empty the same.
func plain(p recovery.Priorities) recovery.Priorities {
	if len(p.Services) == 0 {
		p.Services = nil
	}
	if len(p.Kassen) == 0 {
		p.Kassen = nil
	}
	if len(p.First) == 0 {
		p.First = nil
	}
	return p
}

type preferArgs struct {
	Priorities recovery.Priorities `json:"priorities"`
	Reason     string              `json:"reason"`
}

// Preferred is a request to change priorities, with what it would mean.
type Preferred struct {
	Consent access.Consent   `json:"consent"`
	Answer  *recovery.Answer `json:"answer,omitempty"` // nil when nothing is to return
}

// ShownPriorities is what the second person agrees to.
type ShownPriorities struct {
	Before recovery.Priorities `json:"before"`
	After  recovery.Priorities `json:"after"`
	Terms  int64               `json:"terms"`
	Reason string              `json:"reason"`
}

// preferPriorities asks a second person to change what comes first, and shows
// what that would mean for each Kasse.
func preferPriorities(ctx context.Context, r *Room, as access.Person, a preferArgs) (Preferred, error) {
	if err := maySetPriorities(as); err != nil {
		return Preferred{}, err
	}
	if a.Reason == "" || len(a.Reason) > 1000 {
		return Preferred{}, errors.New("a reason of up to 1000 bytes is needed: priorities are a decision")
	}
	if err := errors.Join(a.Priorities.Check(), a.Priorities.In(r.Catalogue)); err != nil {
		return Preferred{}, err
	}
	shown, err := r.shownPriorities(ctx, a)
	if err != nil {
		return Preferred{}, err
	}
	out := Preferred{}
	if out.Answer, err = r.answerPriorities(ctx, a.Priorities); err != nil {
		return out, err
	}
	out.Consent, err = ask(ctx, r, as, access.Question{Kind: askPriorities, Summary: "Prioritäten der Wiederherstellung: " + a.Reason, Payload: a, Shown: shown})
	return out, err
}

// answerPriorities is what priorities would mean.
func (r *Room) answerPriorities(ctx context.Context, p recovery.Priorities) (*recovery.Answer, error) {
	g, err := r.ground(ctx)
	if err != nil {
		return nil, err
	}
	inForce, err := recovery.GetPlan(ctx, r.Store, "")
	if err != nil && !errors.Is(err, recovery.ErrNoPlan) {
		return nil, err
	}
	a, err := recovery.AskPriorities(ctx, g, inForce, p, recovery.Search{})
	if errors.Is(err, recovery.ErrNothing) {
		return nil, nil //nolint:nilnil // agreed in quiet times: there is nothing to compare
	}
	return a, err
}

func (r *Room) shownPriorities(ctx context.Context, a preferArgs) (ShownPriorities, error) {
	t, err := recovery.CurrentTerms(ctx, r.Store)
	return ShownPriorities{Before: t.Priorities, After: a.Priorities, Terms: t.Version, Reason: a.Reason}, err
}

// PrioritiesDraft is what a request to change priorities would do now.
func (r *Room) PrioritiesDraft(ctx context.Context, payload json.RawMessage) (ShownPriorities, error) {
	var a preferArgs
	if err := json.Unmarshal(payload, &a); err != nil {
		return ShownPriorities{}, fmt.Errorf("reading a request to change priorities: %w", err)
	}
	return r.shownPriorities(ctx, a)
}

// maySetPriorities says who decides what comes first.
func maySetPriorities(p access.Person) error {
	if p.Has(access.CrisisLead) || p.Has(access.Operator) || p.Has(access.KasseDelegate) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Prioritäten entscheiden zwei von Leitung, Betrieb und Kassen; eine der beiden Personen muss zur Leitung gehören."}
}

func (r *Room) approvePriorities(ctx context.Context, c access.Consent, first, second access.Person) (Outcome, error) {
	if err := errors.Join(maySetPriorities(first), maySetPriorities(second)); err != nil {
		return Outcome{}, maySetPriorities(access.Person{})
	}
	if !first.Has(access.CrisisLead) && !second.Has(access.CrisisLead) {
		return Outcome{}, maySetPriorities(access.Person{})
	}
	shown, err := r.PrioritiesDraft(ctx, c.Payload)
	if err != nil {
		return Outcome{}, fmt.Errorf("request %q: %w", c.ID, err)
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		if out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return shown, nil }); err != nil {
			return out, err
		}
		t, err := recovery.CurrentTerms(ctx, tx)
		if err != nil {
			return out, err
		}
		t.Priorities = shown.After
		out.Done, err = recovery.PutTerms(ctx, tx, now, first.ID, second.ID, shown.Reason, t)
		return out, err
	})
}

package room

import (
	"context"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
	"leitstand/warning"
)

// showSignal returns one signal with everything that is known of it.
func showSignal(ctx context.Context, r *Room, a idArgs) (warning.Signal, error) {
	return warning.Get(ctx, r.Store, a.ID)
}

type explainArgs struct {
	Rule string `json:"rule"`
	Line string `json:"line"` // of a log: JSON or text
}

// explainSignal says why a rule finds an event, or why not.
func explainSignal(ctx context.Context, r *Room, a explainArgs) (warning.Explanation, error) {
	return r.Warning.Explain(ctx, r.Store, a.Rule, a.Line)
}

// signalSources are the counts and the pressure of every source.
func signalSources(_ context.Context, r *Room, _ none) ([]warning.Figures, error) {
	return r.Warning.Figures(), nil
}

// suggest proposes measures with their previews. It orders nothing.
func suggest(ctx context.Context, r *Room, _ none) ([]warning.Suggestion, error) {
	all, err := warning.List(ctx, r.Store)
	if err != nil {
		return nil, err
	}
	out := warning.Suggest(all, r.Catalogue)
	for i := range out {
		p, err := r.preview(containment.Plan{Title: out[i].Title, Stage: out[i].Stage, Reason: out[i].Why, Selection: selectionOf(out[i])})
		if err != nil {
			out[i].Preview = err.Error() // off already, say: the person sees why
			continue
		}
		out[i].Preview = p.Sentence
	}
	return out, nil
}

// selectionOf is what a suggestion would take off: with a component, what stops
// for certain without it, and with a site its shared components.
func selectionOf(g warning.Suggestion) containment.Selection {
	switch {
	case g.Component != "":
		return containment.Selection{Components: []catalogue.ComponentID{g.Component}, Dependents: true}
	case g.Site != "":
		return containment.Selection{Sites: []catalogue.SiteID{g.Site}, Shared: true}
	}
	return containment.Selection{Environments: []catalogue.EnvironmentID{g.Environment}}
}

type exceptionArgs struct {
	Rule     string            `json:"rule"`
	When     map[string]string `json:"when"` // field tests, all of which hold
	Reason   string            `json:"reason"`
	Until    time.Time         `json:"until"`
	Untested bool              `json:"untested,omitempty"` // although no must-match case is known
}

func mayTune(as access.Person) error {
	if as.Has(access.CrisisLead) || as.Has(access.Operator) || as.Has(access.Examiner) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Ausnahmen von Regeln machen Betrieb, Forensik oder Leitung des Stabs."}
}

// addException keeps known harmless events of a rule from raising signals.
func addException(ctx context.Context, r *Room, as access.Person, a exceptionArgs) (warning.Exception, error) {
	if err := mayTune(as); err != nil {
		return warning.Exception{}, err
	}
	selection, err := warning.Selection(a.When)
	if err != nil {
		return warning.Exception{}, err
	}
	cases, err := warning.MustMatch(r.regression)
	if err != nil {
		return warning.Exception{}, err
	}
	defer r.Warning.Refresh()
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (warning.Exception, error) {
		x := warning.Exception{Rule: a.Rule, Selection: selection, Reason: a.Reason, Until: a.Until}
		return warning.AddException(ctx, tx, now, as, x, r.Warning.Rules(), cases, a.Untested)
	})
}

// endException lets the rule speak again.
func endException(ctx context.Context, r *Room, as access.Person, a idArgs) (warning.Exception, error) {
	if err := mayTune(as); err != nil {
		return warning.Exception{}, err
	}
	defer r.Warning.Refresh()
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (warning.Exception, error) {
		return warning.EndException(ctx, tx, now, as, a.ID)
	})
}

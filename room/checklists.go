package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/containment"
	"leitstand/forensics"
	"leitstand/operation"
)

type openListArgs struct {
	Kind   forensics.Kind  `json:"kind"`
	Scope  forensics.Scope `json:"scope"`
	Reason string          `json:"reason,omitempty"`
}

// mayExamine says who works on check lists.
func mayExamine(as access.Person) error {
	if as.Has(access.Examiner) || as.Has(access.Operator) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleGate), Text: "Prüflisten führen Forensik und Betrieb."}
}

func openList(ctx context.Context, r *Room, as access.Person, a openListArgs) (forensics.Checklist, error) {
	if err := mayExamine(as); err != nil {
		return forensics.Checklist{}, err
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (forensics.Checklist, error) {
		l, err := forensics.NewChecklist(now, a.Kind, a.Scope, as.ID)
		if err != nil {
			return l, err
		}
		return l, forensics.PutChecklist(ctx, tx, now, as.ID, "checklist.opened", a.Reason, l)
	})
}

type settlePointArgs struct {
	List     string               `json:"list"`
	Point    string               `json:"point"`
	Evidence []forensics.Evidence `json:"evidence,omitempty"`
	NotDone  string               `json:"not_done,omitempty"`
}

func settlePoint(ctx context.Context, r *Room, as access.Person, a settlePointArgs) (forensics.Checklist, error) {
	if err := mayExamine(as); err != nil {
		return forensics.Checklist{}, err
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (forensics.Checklist, error) {
		l, err := forensics.ChecklistByID(ctx, tx, a.List)
		if err != nil {
			return l, err
		}
		if l, err = l.Settle(now, a.Point, as.ID, a.Evidence, a.NotDone); err != nil {
			return l, err
		}
		return l, forensics.PutChecklist(ctx, tx, now, as.ID, "checklist.point_settled", a.NotDone, l)
	})
}

func checklists(ctx context.Context, r *Room, _ none) ([]forensics.Checklist, error) {
	return forensics.Checklists(ctx, r.Store)
}

// fromLists makes sure that a clearance is asked for from complete lists only:
// they become part of its evidence, and what was not done becomes part of its
// conditions. Practice rooms may do without a list, but not with an open one.
func (r *Room) fromLists(ctx context.Context, a forensics.Application) (forensics.Application, error) {
	all, err := forensics.Checklists(ctx, r.Store)
	if err != nil {
		return a, err
	}
	lists := forensics.ListsOf(all, a.Scope)
	if len(lists) == 0 {
		if r.Settings.Exercise {
			return a, nil
		}
		return a, &Failure{Rule: int(operation.RuleGate), Text: fmt.Sprintf(
			"Zur Freigabe %s gibt es keine Prüfliste. Erst eine öffnen und abarbeiten: leitstand clearance open-list.", r.scopeWords(a.Scope))}
	}
	var doubts []string
	for _, l := range lists {
		proof, err := l.Proof()
		if errors.Is(err, forensics.ErrIncomplete) {
			return a, &Failure{Rule: int(operation.RuleGate), Text: fmt.Sprintf(
				"Die Prüfliste %s ist nicht vollständig, offen: %s.", l.ID, strings.Join(l.Missing(), ", ")), err: err}
		}
		if err != nil {
			return a, err
		}
		a.Evidence = append(slices.Clip(a.Evidence), proof)
		doubts = append(doubts, l.Doubts()...)
	}
	if len(doubts) > 0 {
		a.Conditions = strings.TrimPrefix(a.Conditions+"; "+strings.Join(doubts, "; "), "; ")
	}
	return a, nil
}

// RevocationPreview is what revoking a clearance would reach, and the cut that it asks for.
type RevocationPreview struct {
	Clearance string               `json:"clearance"`
	Flagged   []string             `json:"flagged"` // must go down by Deadline
	Deadline  time.Time            `json:"deadline,omitzero"`
	Cut       *containment.Preview `json:"cut,omitempty"` // of what is flagged
}

// previewRevocation judges the revocation on the present state and does nothing.
func previewRevocation(_ context.Context, r *Room, a idArgs) (RevocationPreview, error) {
	out := RevocationPreview{Clearance: a.ID, Flagged: []string{}}
	cmd := &operation.RevokeClearance{Clearance: a.ID}
	cmd.Reason = "Vorschau"
	cmd.Sign(r.Now(), access.Person{ID: "preview", Roles: []access.Role{access.CrisisLead, access.Examiner}, Active: true})
	s := r.Operation.Current()
	change, err := operation.Apply(s, cmd)
	if err != nil {
		return out, err
	}
	plan := containment.Plan{Title: "Widerruf der Freigabe " + a.ID, Stage: 1, Reason: "Was auf der widerrufenen Freigabe beruht, muss vom Netz.", From: r.Now().Truncate(time.Minute).UTC()}
	for _, p := range change.Placements {
		if p.Flag != nil && p.Flag.Clearance == a.ID {
			out.Flagged, out.Deadline = append(out.Flagged, string(p.ID)), p.Flag.By
			plan.Selection.Placements = append(plan.Selection.Placements, p.ID)
		}
	}
	for _, c := range change.Components {
		if c.Flag != nil && c.Flag.Clearance == a.ID {
			out.Flagged, out.Deadline = append(out.Flagged, string(c.ID)), c.Flag.By
			plan.Selection.Components = append(plan.Selection.Components, c.ID)
		}
	}
	if len(plan.Selection.Placements)+len(plan.Selection.Components) == 0 {
		return out, nil
	}
	pre, err := containment.MakePreview(r.Catalogue, s, plan)
	out.Cut = &pre
	return out, err
}

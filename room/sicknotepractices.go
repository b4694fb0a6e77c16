package room

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency/sicknote"
	"leitstand/warning"
)

// PracticeList is whom to call about held mails, and what stands on prints.
type PracticeList struct {
	Practices []sicknote.Practice `json:"practices"`
	Kasse     string              `json:"kasse"` // name
	Exercise  bool                `json:"exercise"`
	At        time.Time           `json:"at"`
}

// callPractices opens held mails for a call list; operators and the Kasse may.
func callPractices(ctx context.Context, r *Room, as access.Person, a sickNoteArgs) (PracticeList, error) {
	out := PracticeList{Kasse: string(a.Kasse), Exercise: r.Settings.Exercise, At: r.Now()}
	if r.Intake == nil {
		return out, errNoIntake
	}
	if err := r.mayHandle(as, a.Kasse); err != nil {
		return out, err
	}
	if k, ok := r.Catalogue.Kasse(a.Kasse); ok {
		out.Kasse = k.Name
	}
	var err error
	out.Practices, err = r.Intake.Practices(ctx, a.Kasse, sicknote.Act{At: out.At, Actor: as.ID, Reason: a.Reason})
	return out, err
}

// heldAhead is how long before its deadline a held mail escalates.
const heldAhead = sicknote.Ahead

// heldRule is the rule of signals about held mails near their deadline.
const heldRule = "sicknote.held"

// escalateHeld raises one signal of the Kasse for held mails whose deadline comes
// near, whose owner is asked and then others after them; then it marks the mails.
// The signal is in the room's store and the mark in the Kasse's, which have no common
// transaction: the signal comes first, so that a crash in between loses none, and one
// that says the same already is not raised a second time.
func (r *Room) escalateHeld(ctx context.Context, k catalogue.KasseID, now time.Time) error {
	late, err := r.Intake.Nearing(ctx, k, now, heldAhead)
	if err != nil || len(late) == 0 {
		return err
	}
	for _, m := range late {
		r.opt.Log.Warn("a held mail comes to its deadline", slog.String("kasse", string(k)), slog.String("number", m.Label), slog.String("owner", m.Owner))
	}
	event := fmt.Sprintf("%d Sendungen, %s bis %s: leitstand sicknote list %s --class held", len(late), late[0].Label, late[len(late)-1].Label, k)
	if err := r.raiseOnce(ctx, heldRule, fmt.Sprintf("Zurückgelegte eAU: Frist läuft ab (%s)", k), k, event); err != nil {
		return err
	}
	return r.Intake.Escalated(ctx, k, now, late)
}

// raiseOnce raises a signal of a Kasse, unless one of the rule says the same already.
func (r *Room) raiseOnce(ctx context.Context, rule, title string, k catalogue.KasseID, event string) error {
	_, err := write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (s warning.Signal, err error) {
		all, err := warning.List(ctx, tx)
		if err != nil {
			return s, err
		}
		for _, s := range all {
			if s.Rule == rule && s.Kasse == k && slices.Contains(s.Events, event) {
				return s, nil
			}
		}
		return warning.Raise(ctx, tx, now, warning.Signal{
			Rule: rule, RuleVersion: "1", Title: title, Level: "high", Author: "Leitstand", Host: string(k), Kasse: k, Owner: r.heldBy(k),
		}, event)
	})
	return err
}

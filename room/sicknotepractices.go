package room

import (
	"context"
	"fmt"
	"log/slog"
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

// escalateHeld marks held mails whose deadline comes near and raises one signal
// for the Kasse, whose owner is asked and then others after them.
func (r *Room) escalateHeld(ctx context.Context, k catalogue.KasseID, now time.Time) error {
	late, err := r.Intake.Escalate(ctx, k, now, heldAhead)
	if err != nil || len(late) == 0 {
		return err
	}
	for _, m := range late {
		r.opt.Log.Warn("a held mail comes to its deadline", slog.String("kasse", string(k)), slog.String("number", m.Label), slog.String("owner", m.Owner))
	}
	_, err = write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (warning.Signal, error) {
		return warning.Raise(ctx, tx, now, warning.Signal{
			Rule: "sicknote.held", RuleVersion: "1", Title: fmt.Sprintf("Zurückgelegte eAU: Frist läuft ab (%s)", k), Level: "high", Author: "Leitstand",
			Host: string(k), Kasse: k, Owner: r.heldBy(k),
		}, fmt.Sprintf("%d Sendungen, erste %s: leitstand sicknote list %s --class held", len(late), late[0].Label, k))
	})
	return err
}

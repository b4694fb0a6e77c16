package incident_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/incident"
)

var (
	t0   = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	lead = access.Person{ID: "anna", Name: "Anna", Roles: []access.Role{access.CrisisLead}, Active: true}
	pr   = access.Person{ID: "pia", Name: "Pia", Roles: []access.Role{access.Press}, Active: true}
)

func TestAnIncidentIsDeclaredByTheRightRoleAndAFactIsCorrectedNotOverwritten(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", ledger.Schema, incident.Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := incident.Declare(ctx, tx, t0, pr, incident.Incident{Title: "Angriff"})
			return err
		})
		if !errors.Is(err, incident.ErrNotAllowed) {
			t.Errorf("press declared an incident: %v", err)
		}
		var i incident.Incident
		var first, second incident.Fact
		err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			if i, err = incident.Declare(ctx, tx, t0, lead, incident.Incident{Title: "Angriff"}); err != nil {
				return err
			}
			if first, err = incident.Note(ctx, tx, t0, lead, incident.Fact{
				Incident: i.ID, Text: "keine Daten abgeflossen", Source: "Forensik", Certainty: incident.Suspected,
			}); err != nil {
				return err
			}
			second, err = incident.Note(ctx, tx, t0.Add(time.Hour), pr, incident.Fact{
				Incident: i.ID, Text: "doch Daten abgeflossen", Source: "Forensik", Certainty: incident.Proven, Corrects: first.ID,
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		facts, err := incident.Facts(t.Context(), d, i.ID)
		if err != nil || len(facts) != 2 || facts[0] != first || facts[1] != second {
			t.Errorf("facts %+v %v, want both as written", facts, err)
		}
		problems, err := ledger.VerifyState(t.Context(), d, incident.Keepers()...)
		if err != nil || len(problems) != 0 {
			t.Errorf("state %v %v", problems, err)
		}
		err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := incident.Note(ctx, tx, t0, lead, incident.Fact{Incident: i.ID, Text: "x", Source: "y", Corrects: "f-NONE"})
			return err
		})
		if err == nil {
			t.Error("a correction of nothing was accepted")
		}
	})
}

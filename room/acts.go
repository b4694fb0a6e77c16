package room

import (
	"context"
	"fmt"
	"maps"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/containment"
	"leitstand/incident"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/warning"
)

// handlers is every act of a room by name. Commands, screens and the exercise
// know acts only from here.
func handlers() map[string]handler {
	all := roomActs()
	maps.Copy(all, sickNoteFileActs())
	maps.Copy(all, planActs())
	maps.Copy(all, stepActs())
	maps.Copy(all, keepingActs())
	maps.Copy(all, backlogActs())
	maps.Copy(all, deskActs())
	return all
}

func roomActs() map[string]handler {
	return map[string]handler{
		"person.list": reading(func(ctx context.Context, r *Room, _ none) ([]access.Person, error) { return access.List(ctx, r.Store) }),
		"person.put":  doing(putPerson),

		"incident.list": reading(func(ctx context.Context, r *Room, _ none) ([]incident.Incident, error) {
			return incident.List(ctx, r.Store)
		}),
		"incident.declare": doing(declare),
		"incident.close":   doing(closeIncident),
		"fact.list": reading(func(ctx context.Context, r *Room, a idArgs) ([]incident.Fact, error) {
			return incident.Facts(ctx, r.Store, a.ID)
		}),
		"fact.note": doing(noteFact),

		"signal.list": reading(func(ctx context.Context, r *Room, _ none) ([]warning.Signal, error) {
			return warning.List(ctx, r.Store)
		}),
		"signal.decide":  doing(decideSignal),
		"signal.show":    reading(showSignal),
		"signal.explain": reading(explainSignal),
		"signal.sources": reading(signalSources),
		"exception.list": reading(func(ctx context.Context, r *Room, _ none) ([]warning.Exception, error) {
			return warning.Exceptions(ctx, r.Store)
		}),
		"signal.suggest": reading(suggest),
		"exception.add":  doing(addException),
		"exception.end":  doing(endException),
		"signal.alerts": reading(func(ctx context.Context, r *Room, a idArgs) ([]warning.Alert, error) {
			return warning.Alerts(ctx, r.Store, a.ID)
		}),
		"alarm.test": doing(testAlarm),

		"measure.preview": reading(func(_ context.Context, r *Room, p containment.Plan) (containment.Preview, error) { return r.preview(p) }),
		"impact":          reading(impact),
		"measure.list": reading(func(ctx context.Context, r *Room, _ none) ([]containment.Measure, error) {
			return containment.List(ctx, r.Store)
		}),
		"measure.order":   doing(orderMeasure),
		"measure.confirm": doing(confirmMeasure),
		"measure.undo":    doing(undoMeasure),

		"driver.dry-run":    reading(driverDryRun),
		"driver.rules":      reading(driverRules),
		"driver.list":       reading(driverActs),
		"driver.open":       reading(driverOpen),
		"driver.resolve":    doing(driverResolve),
		"driver.import-log": doing(importLog),
		"gateway.hand-in":   doing(handIn),

		"consent.list": reading(func(ctx context.Context, r *Room, _ none) ([]access.Consent, error) { return access.Open(ctx, r.Store) }),
		"consent.show": reading(func(ctx context.Context, r *Room, a idArgs) (access.Consent, error) {
			return access.ConsentByID(ctx, r.Store, a.ID)
		}),
		"approve": doing(approve),
		"decline": doing(decline),

		"clearance.grant":          doing(grantClearance),
		"clearance.revoke":         doing(revokeClearance),
		"clearance.list":           reading(clearances),
		"clearance.preview-revoke": reading(previewRevocation),
		"checklist.open":           doing(openList),
		"checklist.settle":         doing(settlePoint),
		"checklist.list":           reading(checklists),
		"rotation.prove":           doing(proveRotation),

		"emergency.prepare": doing(prepareEmergency),
		"side.closed":       doing(reportClosed),

		"rebuild.begin":  doing(beginRebuild),
		"trial.enter":    doing(enterTrial),
		"handover.begin": doing(beginHandover),
		"handover.run":   doing(runHandover),

		"handover.announce": doing(announceSwitchback), // and everything that follows it, see switchback.go
		"handover.window":   doing(moveWindow),
		"handover.status":   reading(switchbackStatus),
		"handover.readonly": doing(makeReadOnly),
		"handover.drain":    doing(drainCell),
		"handover.compare":  doing(compareCell),
		"handover.sign":     doing(signSwitchback),
		"handover.back":     doing(backToEmergency),

		"acceptance.open":   doing(openAcceptance),
		"acceptance.probe":  doing(probeAcceptance),
		"acceptance.try":    doing(tryAcceptance),
		"acceptance.limit":  doing(limitAcceptance),
		"acceptance.list":   reading(acceptances),
		"partner.proof":     reading(proofForPartner),
		"partner.reconnect": doing(reconnectPartner),

		"readiness.open":   doing(openReadiness),
		"readiness.settle": doing(settleReadiness),
		"readiness.show":   reading(showReadiness),

		"handover.keys":      reading(handoverPublic),
		"handover.conflicts": reading(listConflicts),
		"handover.conflict":  doing(showConflict),
		"handover.decide":    doing(decideConflict),

		"regular.accept":  doing(accept),
		"observation.end": doing(endObservation),
		"state.confirm":   doing(confirmState),
		"plan.order": reading(func(_ context.Context, r *Room, a nodesArgs) ([]recovery.Position, error) {
			return recovery.Order(r.Catalogue, a.Nodes)
		}),

		"cell.list": reading(func(_ context.Context, r *Room, _ none) ([]operation.Cell, error) { return r.Cells(), nil }),
		"door.list": reading(func(_ context.Context, r *Room, _ none) ([]*operation.DoorRow, error) {
			return r.Operation.Current().Doors(-1), nil
		}),

		"list.show":    reading(func(ctx context.Context, r *Room, _ none) ([]notice.List, error) { return notice.Lists(ctx, r.Store) }),
		"list.publish": doing(publishList),
		"notice.list": reading(func(ctx context.Context, r *Room, _ none) ([]notice.Notice, error) {
			return notice.Notices(ctx, r.Store)
		}),
		"notice.release": doing(releaseNotice),

		"sicknote.status":   reading(sickNoteStatus),
		"sicknote.list":     reading(listSickNotes),
		"sicknote.show":     doing(showSickNote),
		"sicknote.accept":   doing(acceptHeld),
		"sicknote.assign":   doing(assignHeld),
		"sicknote.reread":   doing(rereadHeld),
		"sicknote.prepared": reading(preparedAnswers),
		"sicknote.release":  doing(releaseAnswers),

		"ledger.verify": reading(verifyLedger),
		"ledger.head":   reading(ledgerHeads),
		"ledger.read":   reading(readLedger),
		"ledger.export": reading(exportLedger),

		"link.new": reading(newLink),

		"doctor": reading(doctor),
		"vitals": reading(func(ctx context.Context, r *Room, _ none) (Vitals, error) { return r.Vitals(ctx), nil }),

		"witness.note": doing(noteWitness),
	}
}

type (
	none   struct{}
	idArgs struct {
		ID     string `json:"id"`
		Reason string `json:"reason,omitempty"`
	}
	nodesArgs struct {
		Nodes   []string          `json:"nodes"`
		Reason  string            `json:"reason"`
		Testers []string          `json:"testers,omitempty"`
		To      operation.Regular `json:"to,omitzero"`
		Paths   []string          `json:"paths,omitempty"`
		Saw     operation.Regular `json:"saw,omitzero"`
	}
)

// write runs a change that needs one person only.
func write[T any](ctx context.Context, r *Room, fn func(ctx context.Context, tx *db.Tx, now time.Time) (T, error)) (T, error) {
	var out T
	err := r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		out, err = fn(ctx, tx, r.Now())
		return err
	})
	return out, err
}

func putPerson(ctx context.Context, r *Room, as access.Person, p access.Person) (access.Person, error) {
	if !as.Has(access.CrisisLead) {
		return p, &Failure{Text: "Personen und Rollen ändert nur die Leitung des Stabs.", Rule: int(operation.RuleTwoPeople)}
	}
	if _, ok := r.Catalogue.Kasse(p.Kasse); p.Kasse != "" && !ok {
		return p, fmt.Errorf("person %q: Kasse %q is not in the catalogue", p.ID, p.Kasse)
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (access.Person, error) {
		return p, access.Put(ctx, tx, now, as.ID, p)
	})
}

type declareArgs struct {
	Title  string         `json:"title"`
	Grade  incident.Grade `json:"grade,omitempty"`
	Signal string         `json:"signal,omitempty"`
}

// declare opens an incident and attaches the signal that it started from.
func declare(ctx context.Context, r *Room, as access.Person, a declareArgs) (incident.Incident, error) {
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (incident.Incident, error) {
		i, err := incident.Declare(ctx, tx, now, as, incident.Incident{Title: a.Title, Grade: a.Grade, Signal: a.Signal})
		if err == nil && a.Signal != "" {
			_, err = warning.Decide(ctx, tx, now, as, a.Signal, warning.Attached, i.ID, "")
		}
		return i, err
	})
}

func closeIncident(ctx context.Context, r *Room, as access.Person, a idArgs) (incident.Incident, error) {
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (incident.Incident, error) {
		return incident.Close(ctx, tx, now, as, a.ID)
	})
}

func noteFact(ctx context.Context, r *Room, as access.Person, f incident.Fact) (incident.Fact, error) {
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (incident.Fact, error) {
		return incident.Note(ctx, tx, now, as, f)
	})
}

type decideArgs struct {
	ID       string        `json:"id"`
	To       warning.State `json:"to"`
	Incident string        `json:"incident,omitempty"`
	Reason   string        `json:"reason,omitempty"`
}

func decideSignal(ctx context.Context, r *Room, as access.Person, a decideArgs) (warning.Signal, error) {
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (warning.Signal, error) {
		if a.To == warning.Attached {
			if _, err := incident.Get(ctx, tx, a.Incident); err != nil {
				return warning.Signal{}, err
			}
		}
		return warning.Decide(ctx, tx, now, as, a.ID, a.To, a.Incident, a.Reason)
	})
}

package room

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
)

// askBacklogOrder is the kind of consent with which a second person changes the
// order of what is worked off.
const askBacklogOrder = "backlog.order"

func backlogActs() map[string]handler {
	return map[string]handler{
		"backlog.show":     reading(showBacklog),
		"backlog.order":    doing(orderBacklog),
		"backlog.capacity": doing(setCapacity),
	}
}

type orderArgs struct {
	Groups []recovery.UrgencyGroup `json:"groups"`
	Reason string                  `json:"reason"`
}

// ShownOrder is what the second person agrees to.
type ShownOrder struct {
	Before []recovery.UrgencyGroup `json:"before"`
	After  []recovery.UrgencyGroup `json:"after"`
	Terms  int64                   `json:"terms"`
	Reason string                  `json:"reason"`
}

// orderBacklog asks a second person to change what is worked off first.
func orderBacklog(ctx context.Context, r *Room, as access.Person, a orderArgs) (access.Consent, error) {
	if err := maySetPriorities(as); err != nil {
		return access.Consent{}, err
	}
	a.Reason = strings.TrimSpace(a.Reason)
	if a.Reason == "" || len(a.Reason) > maxReason {
		return access.Consent{}, &Failure{Rule: int(operation.RuleOnRecord), Text: "Die Reihenfolge zu ändern braucht einen Grund (bis 1000 Byte)."}
	}
	t, err := recovery.CurrentBacklogTerms(ctx, r.Store)
	if err != nil {
		return access.Consent{}, err
	}
	shown := ShownOrder{Before: t.Groups, After: a.Groups, Terms: t.Version, Reason: a.Reason}
	t.Groups = a.Groups
	if err := t.Check(); err != nil {
		return access.Consent{}, err
	}
	if err := t.In(r.Catalogue); err != nil {
		return access.Consent{}, err
	}
	return ask(ctx, r, as, access.Question{Kind: askBacklogOrder, Summary: "Reihenfolge beim Abarbeiten: " + a.Reason, Payload: a, Shown: shown})
}

func (r *Room) shownOrder(ctx context.Context, q db.Querier, c access.Consent) (ShownOrder, error) {
	a, err := payload[orderArgs](c)
	if err != nil {
		return ShownOrder{}, err
	}
	t, err := recovery.CurrentBacklogTerms(ctx, q)
	return ShownOrder{Before: t.Groups, After: a.Groups, Terms: t.Version, Reason: a.Reason}, err
}

// approveBacklogOrder needs somebody of the lead among the two.
func approveBacklogOrder(ctx context.Context, r *Room, c access.Consent, first, second access.Person) (Outcome, error) {
	for _, p := range []access.Person{first, second} {
		if err := maySetPriorities(p); err != nil {
			return Outcome{}, err
		}
	}
	if !first.Has(access.CrisisLead) && !second.Has(access.CrisisLead) {
		return Outcome{}, maySetPriorities(access.Person{})
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		shown, err := r.shownOrder(ctx, tx, c)
		if err != nil {
			return out, fmt.Errorf("request %q: %w", c.ID, err)
		}
		if out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return shown, nil }); err != nil {
			return out, err
		}
		t, err := recovery.CurrentBacklogTerms(ctx, tx)
		if err != nil {
			return out, err
		}
		t.Groups, t.Reason, t.By, t.Second = shown.After, shown.Reason, first.ID, second.ID
		out.Done, err = recovery.PutBacklogTerms(ctx, tx, now, "backlog.ordered", t)
		return out, err
	})
}

type capacityArgs struct {
	Clerks   *recovery.Throughput `json:"clerks,omitempty"`
	Transfer *recovery.Throughput `json:"transfer,omitempty"`
	Days     string               `json:"days,omitempty"`
	Land     *catalogue.Land      `json:"land,omitempty"` // "": the holidays that all Länder share

	Lands  map[catalogue.KasseID]catalogue.Land `json:"lands,omitempty"` // of these Kassen; the others stay
	Reason string                               `json:"reason"`
}

// setCapacity says how much people and systems manage. It changes forecasts only,
// so one person is enough.
func setCapacity(ctx context.Context, r *Room, as access.Person, a capacityArgs) (recovery.BacklogTerms, error) {
	if err := maySetPriorities(as); err != nil {
		return recovery.BacklogTerms{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Wie viel Menschen und Systeme schaffen, sagen Leitung, Betrieb oder die Kassen."}
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (recovery.BacklogTerms, error) {
		t, err := recovery.CurrentBacklogTerms(ctx, tx)
		if err != nil {
			return t, err
		}
		if a.Clerks != nil {
			t.Clerks = *a.Clerks
		}
		if a.Transfer != nil {
			t.Transfer = *a.Transfer
		}
		if a.Days != "" {
			t.Days = a.Days
		}
		if a.Land != nil {
			t.Land = *a.Land
		}
		if len(a.Lands) > 0 {
			lands := maps.Clone(t.Lands)
			if lands == nil {
				lands = a.Lands
			}
			maps.Copy(lands, a.Lands)
			t.Lands = lands
		}
		if err := t.In(r.Catalogue); err != nil && !t.Assumed {
			return t, err
		}
		t.Reason, t.By, t.Second = strings.TrimSpace(a.Reason), as.ID, ""
		return recovery.PutBacklogTerms(ctx, tx, now, "backlog.capacity_set", t)
	})
}

// inOrder puts placements into the order in which they are handed over.
func (r *Room) inOrder(ctx context.Context, places []catalogue.PlacementID) error {
	t, err := recovery.CurrentBacklogTerms(ctx, r.Store)
	if err == nil {
		t.Sort(places)
	}
	return err
}

// moreUrgent are the placements of the same Kasse that are handing over, have
// something open and come before a service in the order: they go first.
func (r *Room) moreUrgent(ctx context.Context, k catalogue.KasseID, service catalogue.ServiceID) ([]catalogue.PlacementID, error) {
	t, err := recovery.CurrentBacklogTerms(ctx, r.Store)
	if err != nil {
		return nil, err
	}
	rank, _ := t.Rank(service)
	var out []catalogue.PlacementID
	for _, p := range r.Operation.Current().Placements() {
		if p.Kasse != k || p.Emergency != operation.HandingOver {
			continue
		}
		if other, _ := t.Rank(p.Service); other >= rank {
			continue
		}
		c, err := r.countsOf(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		if c.Open > 0 {
			out = append(out, p.ID)
		}
	}
	t.Sort(out)
	return out, nil
}

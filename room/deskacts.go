package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/contact"
	"leitstand/emergency/payment"
	"leitstand/emergency/record"
	"leitstand/operation"
)

// deskActs are what people do about items of the typed emergency services.
func deskActs() map[string]handler {
	return map[string]handler{
		"desk.list":    reading(listDesk),
		"desk.show":    doing(showDesk),
		"desk.release": doing(askRelease),
		"desk.refuse":  doing(refuseDesk),
		"desk.called":  doing(calledDesk),
		"desk.done":    doing(doneDesk),
	}
}

type deskArgs struct {
	Kasse    catalogue.KasseID `json:"kasse,omitempty"`
	Numbers  []string          `json:"numbers,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Reached  bool              `json:"reached,omitempty"` // of a call
	Deadline time.Time         `json:"deadline,omitzero"` // of the next try
	All      bool              `json:"all,omitempty"`     // not only what waits
}

// DeskItem is an item of a typed emergency service, without what it says about a person.
type DeskItem struct {
	Kasse    catalogue.KasseID `json:"kasse"`
	Number   string            `json:"number"`
	Service  string            `json:"service"` // payment, record or contact
	What     string            `json:"what"`    // payment, access, objection, document or message
	From     string            `json:"from,omitempty"`
	Cents    int64             `json:"cents,omitempty"`
	State    emergency.State   `json:"state"`
	Reason   string            `json:"reason,omitempty"`
	Owner    string            `json:"owner,omitempty"`
	Deadline time.Time         `json:"deadline,omitzero"`
	Received time.Time         `json:"received"`
	item     emergency.Item
}

// deskItem reads where an item came from; ok is false for items of others.
func deskItem(k catalogue.KasseID, it emergency.Item) (DeskItem, bool) {
	part := strings.SplitN(it.Source, ":", 3)
	if len(part) < 2 || !slices.Contains([]string{deskPayment, deskRecord, deskContact}, part[0]) {
		return DeskItem{}, false
	}
	v := DeskItem{
		Kasse: k, Number: it.Number.Label(k), Service: part[0], What: part[1], Cents: it.Amount, State: it.State, Reason: it.Reason,
		Owner: it.Owner, Deadline: it.Deadline, Received: it.Received, item: it,
	}
	if len(part) == 3 {
		v.From = part[2]
	}
	return v, true
}

// deskPage is how many items are looked at together.
const deskPage = 500

// deskItems lists the items of the typed services of a Kasse in some states, all when none is named.
func (r *Room) deskItems(ctx context.Context, k catalogue.KasseID, states ...emergency.State) ([]DeskItem, error) {
	j, err := r.Journals.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	var out []DeskItem
	for _, service := range []string{deskPayment, deskRecord, deskContact} {
		f := emergency.Filter{Source: service + ":", States: states, Limit: deskPage}
		for {
			items, err := j.Items(ctx, f)
			if err != nil {
				return nil, err
			}
			for _, it := range items {
				if v, ok := deskItem(k, it); ok {
					out = append(out, v)
				}
				f.After = it.Number
			}
			if len(items) < deskPage {
				break
			}
		}
	}
	return out, nil
}

// listDesk lists what waits for people, what is due first; with all, everything.
func listDesk(ctx context.Context, r *Room, a deskArgs) ([]DeskItem, error) {
	out := []DeskItem{}
	states := []emergency.State{emergency.Held}
	if a.All {
		states = nil
	}
	for _, k := range r.Catalogue.Kassen {
		if a.Kasse != "" && a.Kasse != k.ID {
			continue
		}
		items, err := r.deskItems(ctx, k.ID, states...)
		if errors.Is(err, emergency.ErrNoKey) {
			continue // no journal was ever set up: nothing can wait there
		}
		if err != nil {
			return nil, err
		}
		out = append(out, items...)
	}
	slices.SortStableFunc(out, func(x, y DeskItem) int { return x.Deadline.Compare(y.Deadline) })
	return out, nil
}

// deskNamed finds the items that an act names, each of one kind of thing.
func (r *Room) deskNamed(ctx context.Context, a deskArgs, what ...string) ([]DeskItem, *emergency.Journal, error) {
	if len(a.Numbers) == 0 {
		return nil, nil, errors.New("name at least one item")
	}
	j, err := r.Journals.Open(ctx, a.Kasse)
	if err != nil {
		return nil, nil, err
	}
	var out []DeskItem
	for _, label := range a.Numbers {
		n, err := emergency.ParseNumber(a.Kasse, label)
		if err != nil {
			return nil, nil, err
		}
		it, err := j.Item(ctx, n)
		if err != nil {
			return nil, nil, err
		}
		v, ok := deskItem(a.Kasse, it)
		if !ok || len(what) > 0 && !slices.Contains(what, v.What) {
			return nil, nil, fmt.Errorf("item %s is none of %s", label, strings.Join(what, ", "))
		}
		if slices.ContainsFunc(out, func(o DeskItem) bool { return o.item.Number == n }) {
			return nil, nil, fmt.Errorf("item %s is named twice", label)
		}
		out = append(out, v)
	}
	return out, j, nil
}

// showDesk opens one item. Who read it and why is on record before it is shown.
func showDesk(ctx context.Context, r *Room, as access.Person, a deskArgs) (Shown, error) {
	if strings.TrimSpace(a.Reason) == "" {
		return Shown{}, errors.New("reading an item needs a reason: it is put on record")
	}
	items, j, err := r.deskNamed(ctx, a)
	if err != nil {
		return Shown{}, err
	}
	if len(items) != 1 {
		return Shown{}, errors.New("name one item")
	}
	if !r.mayRead(as, a.Kasse) && (items[0].Service != deskPayment || !as.Has(access.PaymentReleaser)) {
		return Shown{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Das liest die Vertretung der Kasse, Zahlungen auch die Zahlungsfreigabe."}
	}
	it, body, err := j.ReadBody(ctx, items[0].item.Number, r.Now(), as.ID, a.Reason)
	return Shown{Number: items[0].Number, Media: it.Media, Body: body}, err
}

// askDesk is the kind of consent to releasing payments, or to an access.
const askDesk = "desk"

// Release is what two people agree to: these payments, or this access.
type Release struct {
	Kasse catalogue.KasseID `json:"kasse"`
	What  string            `json:"what"`
	Items []DeskItem        `json:"items"`
	Cents int64             `json:"cents,omitempty"`
	Hash  string            `json:"hash"` // over which and how much: to be read out over the telephone
}

// deskRelease is what a request stands for now. Everything named still waits, or it is another request.
func (r *Room) deskRelease(ctx context.Context, a deskArgs) (Release, *emergency.Journal, error) {
	items, j, err := r.deskNamed(ctx, a, "payment", "access")
	if err != nil {
		return Release{}, nil, err
	}
	out := Release{Kasse: a.Kasse, What: items[0].What, Items: items}
	plain := make([]emergency.Item, len(items))
	for i, v := range items {
		switch {
		case v.What != out.What:
			return out, nil, errors.New("payments and accesses are released apart")
		case v.State != emergency.Held || v.What == "access" && v.Reason != record.Waits:
			return out, nil, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Vorgang " + v.Number + " wartet nicht (mehr) auf Freigabe."}
		case v.What == "payment" && payment.Never(v.Reason):
			return out, nil, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Vorgang " + v.Number + ": " + v.Reason + ". Er kann nur abgelehnt werden."}
		}
		plain[i] = v.item
	}
	out.Cents, out.Hash = payment.Total(a.Kasse, plain)
	return out, j, nil
}

// mayAskRelease says who takes part in a release.
func (r *Room) mayAskRelease(p access.Person, what string, k catalogue.KasseID) error {
	if p.Has(access.CrisisLead) || r.mayRead(p, k) || what == "payment" && p.Has(access.PaymentReleaser) {
		return nil
	}
	if what == "access" {
		return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Über einen Notzugriff entscheiden die Vertretung der Kasse und die Leitung des Stabs gemeinsam."}
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Zahlungen gibt die Zahlungsfreigabe gemeinsam mit der Kasse oder der Leitung des Stabs frei."}
}

// mayReleaseDesk is the pair: for an access Kasse and crisis lead, for payments one who
// releases payments, and the crisis lead for what is above a limit or may be a double.
func (r *Room) mayReleaseDesk(v Release, by ...access.Person) error {
	has := func(fn func(access.Person) bool) bool { return slices.ContainsFunc(by, fn) }
	lead := has(func(p access.Person) bool { return p.Has(access.CrisisLead) })
	for _, p := range by {
		if err := r.mayAskRelease(p, v.What, v.Kasse); err != nil {
			return err
		}
	}
	if v.What == "access" {
		if !lead || !has(func(p access.Person) bool { return r.mayRead(p, v.Kasse) }) {
			return r.mayAskRelease(access.Person{}, v.What, v.Kasse)
		}
		return nil
	}
	if !has(func(p access.Person) bool { return p.Has(access.PaymentReleaser) }) {
		return r.mayAskRelease(access.Person{}, v.What, v.Kasse)
	}
	for _, it := range v.Items {
		if !payment.Plain(it.Reason) && !lead {
			return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Vorgang " + it.Number + ": " + it.Reason + ". Das gibt nur die Leitung des Stabs gemeinsam mit der Zahlungsfreigabe frei."}
		}
	}
	return nil
}

// askRelease asks a second person to release payments or an access.
func askRelease(ctx context.Context, r *Room, as access.Person, a deskArgs) (access.Consent, error) {
	v, _, err := r.deskRelease(ctx, a)
	if err != nil {
		return access.Consent{}, err
	}
	if err := r.mayAskRelease(as, v.What, a.Kasse); err != nil {
		return access.Consent{}, err
	}
	if strings.TrimSpace(a.Reason) == "" {
		return access.Consent{}, &Failure{Rule: int(operation.RuleOnRecord), Text: "Es fehlt die Begründung."}
	}
	summary := fmt.Sprintf("%s der %s über %d,%02d EUR, Prüfwert %s", catalogue.Counted(len(v.Items), "Eine Zahlung", "%s Zahlungen"), r.kasseWords(a.Kasse), v.Cents/100, v.Cents%100, v.Hash)
	if v.What == "access" {
		summary = fmt.Sprintf("Notzugriff auf eine Akte bei %s für %d Minuten", r.kasseWords(a.Kasse), int(record.OpenFor.Minutes()))
	}
	return ask(ctx, r, as, access.Question{Kind: askDesk, Payload: a, Shown: v, Summary: summary})
}

// approveDesk releases what both people saw. The consent is in the room's store, the items
// in the Kasse's: the consent comes first. When the room dies between the two, nothing is
// released, and people ask again.
func (r *Room) approveDesk(ctx context.Context, c access.Consent, first, second access.Person) (Outcome, error) {
	var a deskArgs
	if err := json.Unmarshal(c.Payload, &a); err != nil {
		return Outcome{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	v, j, err := r.deskRelease(ctx, a)
	if err != nil {
		return Outcome{}, err
	}
	if err := r.mayReleaseDesk(v, first, second); err != nil {
		return Outcome{}, err
	}
	out, err := write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return v, nil })
		return out, err
	})
	if err != nil {
		return out, err
	}
	now := r.Now()
	e := emergency.Entry{
		At: now, Actor: second.ID, Kind: v.What + ".released", Reason: a.Reason,
		Data: map[string]any{"consent": c.ID, "by": []string{first.ID, second.ID}, "items": len(v.Items), "cents": v.Cents, "hash": v.Hash},
	}
	changes := make([]emergency.Change, len(v.Items))
	for i, it := range v.Items {
		seen := it.item.Standing
		changes[i] = emergency.Change{Number: seen.Number, Apply: func(s emergency.Standing) (emergency.Standing, error) {
			if s.State != emergency.Held || s.Reason != seen.Reason {
				return s, fmt.Errorf("item %s changed meanwhile: %w", it.Number, emergency.ErrIllegal)
			}
			if v.What == "access" {
				return s.Hold(s.Kind, s.Subject, record.Granted, first.ID, now.Add(record.OpenFor))
			}
			return s.Ready(s.Kind, s.Subject)
		}}
	}
	out.Done = v
	return out, j.Apply(ctx, e, changes...)
}

// onDesk changes held items by one person's word.
func (r *Room) onDesk(ctx context.Context, as access.Person, a deskArgs, kind string, what []string, fn func(DeskItem, emergency.Standing) (emergency.Standing, error)) ([]DeskItem, error) {
	items, j, err := r.deskNamed(ctx, a, what...)
	if err != nil {
		return nil, err
	}
	if !as.Has(access.Operator) && r.mayAskRelease(as, items[0].What, a.Kasse) != nil {
		return nil, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Über Wartendes entscheiden der Betrieb, die Kasse oder die Leitung des Stabs."}
	}
	changes := make([]emergency.Change, len(items))
	for i, it := range items {
		changes[i] = emergency.Change{Number: it.item.Number, Apply: func(s emergency.Standing) (emergency.Standing, error) { return fn(it, s) }}
	}
	if err := j.Apply(ctx, emergency.Entry{At: r.Now(), Actor: as.ID, Kind: kind, Reason: a.Reason}, changes...); err != nil {
		return nil, err
	}
	items, _, err = r.deskNamed(ctx, a, what...)
	return items, err
}

// refuseDesk rejects what waits, with a reason and a person who answers for it.
func refuseDesk(ctx context.Context, r *Room, as access.Person, a deskArgs) ([]DeskItem, error) {
	return r.onDesk(ctx, as, a, "item.refused", []string{"payment", "access", "message"}, func(_ DeskItem, s emergency.Standing) (emergency.Standing, error) {
		return s.Refuse(a.Reason, as.ID)
	})
}

// calledDesk notes a call: reached, the message goes on to the Kasse; not reached, it
// waits for the next try.
func calledDesk(ctx context.Context, r *Room, as access.Person, a deskArgs) ([]DeskItem, error) {
	if !a.Reached && !a.Deadline.After(r.Now()) {
		return nil, errors.New("not reached: until when is the next try?")
	}
	return r.onDesk(ctx, as, a, "call.made", []string{"message"}, func(v DeskItem, s emergency.Standing) (emergency.Standing, error) {
		switch {
		case !strings.HasPrefix(s.Reason, contact.CallReason):
			return s, fmt.Errorf("item %s waits for no call: %w", v.Number, emergency.ErrIllegal)
		case a.Reached:
			return s.Ready(s.Kind, s.Subject)
		}
		return s.Hold(s.Kind, s.Subject, s.Reason, as.ID, a.Deadline)
	})
}

// doneDesk says that the insured person was told of an access: it goes on to be handed over.
func doneDesk(ctx context.Context, r *Room, as access.Person, a deskArgs) ([]DeskItem, error) {
	if strings.TrimSpace(a.Reason) == "" {
		return nil, &Failure{Rule: int(operation.RuleOnRecord), Text: "Wie und wann wurde die versicherte Person benachrichtigt?"}
	}
	return r.onDesk(ctx, as, a, "access.notified", []string{"access"}, func(v DeskItem, s emergency.Standing) (emergency.Standing, error) {
		if s.Reason != record.Granted {
			return s, fmt.Errorf("item %s was not granted: %w", v.Number, emergency.ErrIllegal)
		}
		return s.Ready(s.Kind, s.Subject)
	})
}

// deskRule is the rule of signals about what waits at desks past its deadline.
const deskRule = "desk.overdue"

// escalateDesks raises one signal for each item that waits past its deadline: a payment
// nobody released, a call nobody made, an access nobody told the insured person of.
func (r *Room) escalateDesks(ctx context.Context, now time.Time) error {
	if r.opt.Desks == nil {
		return nil
	}
	waiting, err := listDesk(ctx, r, deskArgs{})
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range waiting {
		if now.Before(v.Deadline) {
			break // they come by deadline
		}
		event := fmt.Sprintf("%s, fällig %s: leitstand desk list --kasse %s", v.Number, v.Deadline.UTC().Format(time.RFC3339), v.Kasse)
		errs = append(errs, r.raiseOnce(ctx, deskRule, fmt.Sprintf("Im Notbetrieb wartet etwas über seine Frist hinaus (%s)", v.Kasse), v.Kasse, event))
	}
	return errors.Join(errs...)
}

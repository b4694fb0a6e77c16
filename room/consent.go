package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/notice"
	"leitstand/operation"
)

// Kinds of consent that are not commands of operation.
const (
	askMeasure = "measure"
	askList    = "list"
	askNotice  = "notice"
)

// ask stores a request for a second person's consent.
func ask(ctx context.Context, r *Room, as access.Person, q access.Question) (access.Consent, error) {
	q.By = as.ID
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (access.Consent, error) {
		return access.Ask(ctx, tx, now, q)
	})
}

// askCommand requests consent to a command of operation. What is shown is the
// command itself.
func askCommand(ctx context.Context, r *Room, as access.Person, summary string, cmd operation.Command) (access.Consent, error) {
	if err := r.mayAsk(as, cmd); err != nil {
		return access.Consent{}, err
	}
	return ask(ctx, r, as, access.Question{Kind: cmd.Kind(), Summary: summary, Payload: cmd, Shown: cmd})
}

// mayAsk tries the command on the present state as if everybody else it needs had
// agreed: what would be refused then is refused now, and not only after somebody
// was woken up for consent.
func (r *Room) mayAsk(as access.Person, cmd operation.Command) error {
	cmd.Sign(r.Now(), as)
	return operation.Try(r.Operation.Current(), cmd)
}

// act carries a command out together with what else belongs to it: one
// transaction, then the journals obey. A journal that does not yet is settled by
// the room's loop; the act itself is done and on record.
func (r *Room) act(ctx context.Context, cmd operation.Command, also func(ctx context.Context, tx *db.Tx) error) (operation.Result, error) {
	if err := r.Operation.Prepare(ctx, cmd); err != nil {
		return operation.Result{}, err
	}
	var res operation.Result
	err := r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if also != nil {
			if err := also(ctx, tx); err != nil {
				return err
			}
		}
		res, err = r.Operation.DoTx(ctx, tx, cmd)
		return err
	})
	if err != nil {
		return operation.Result{}, err
	}
	err = r.Operation.Done(ctx, res)
	if errors.Is(err, operation.ErrUnsettled) {
		r.opt.Log.Warn("a journal has not obeyed yet; it is told again", slog.Any("error", err))
		err = nil
	}
	return res, err
}

// Outcome is what an approved act did.
type Outcome struct {
	Consent access.Consent `json:"consent"`
	Done    any            `json:"done"`
}

// approve gives the second person's consent and carries the act out, both or
// neither: they are one transaction.
func approve(ctx context.Context, r *Room, as access.Person, a idArgs) (Outcome, error) {
	c, err := access.ConsentByID(ctx, r.Store, a.ID)
	if err != nil {
		return Outcome{}, err
	}
	first, err := access.Get(ctx, r.Store, c.AskedBy)
	if err != nil {
		return Outcome{}, fmt.Errorf("the first person of %q: %w", c.ID, err)
	}
	switch c.Kind {
	case askMeasure:
		return r.approveMeasure(ctx, c, first, as)
	case askList:
		return r.approveList(ctx, c, first, as)
	case askNotice:
		return r.approveNotice(ctx, c, first, as)
	case askAnswers:
		return r.approveAnswers(ctx, c, first, as)
	case askDesk:
		return r.approveDesk(ctx, c, first, as)
	case askSwitchback:
		return r.approveSwitchback(ctx, c, as)
	}
	if keep, ok := keepingDecisions()[c.Kind]; ok {
		return keep(ctx, r, c, first, as)
	}
	cmd, err := operation.Decode(c.Kind, c.Payload)
	if err != nil {
		return Outcome{}, err
	}
	if err := r.besideProtocol(ctx, cmd); err != nil {
		return Outcome{}, err
	}
	cmd.Sign(r.Now(), first, as)
	out := Outcome{}
	_, err = r.act(ctx, cmd, func(ctx context.Context, tx *db.Tx) (err error) {
		out.Consent, err = access.Give(ctx, tx, r.Now(), c.ID, as.ID, func(access.Consent) (any, error) { return cmd, nil })
		return err
	})
	return out, err
}

func decline(ctx context.Context, r *Room, as access.Person, a idArgs) (access.Consent, error) {
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (access.Consent, error) {
		return access.Decline(ctx, tx, now, a.ID, as.ID, a.Reason)
	})
}

// preview counts from now what has not been counted from anywhere yet.
func (r *Room) preview(p containment.Plan) (containment.Preview, error) {
	if p.From.IsZero() {
		p.From = r.Now().Truncate(time.Minute).UTC()
	}
	return containment.MakePreview(r.Catalogue, r.Operation.Current(), p)
}

// Ordered is what ordering a measure gives: a request for consent, or the
// measure itself in immediate danger.
type Ordered struct {
	Preview containment.Preview  `json:"preview"`
	Consent *access.Consent      `json:"consent,omitempty"`
	Measure *containment.Measure `json:"measure,omitempty"`
}

// orderMeasure asks a second person to agree to what the preview shows; in
// immediate danger it acts at once and asks afterwards.
func orderMeasure(ctx context.Context, r *Room, as access.Person, p containment.Plan) (Ordered, error) {
	p.From = time.Time{} // from the act on, whatever the plan's file says
	pre, err := r.preview(p)
	if err != nil {
		return Ordered{}, err
	}
	p = pre.Plan
	if p.Immediate {
		m, err := r.carryOut(ctx, pre, access.Consent{}, as)
		return Ordered{Preview: pre, Measure: &m}, err
	}
	if err := r.mayAsk(as, pre.Command(r.Catalogue, "new")); err != nil {
		return Ordered{}, err
	}
	c, err := ask(ctx, r, as, access.Question{Kind: askMeasure, Summary: p.Title + ": " + pre.Sentence, Payload: p, Shown: pre})
	return Ordered{Preview: pre, Consent: &c}, err
}

func (r *Room) approveMeasure(ctx context.Context, c access.Consent, first, second access.Person) (Outcome, error) {
	var p containment.Plan
	if err := json.Unmarshal(c.Payload, &p); err != nil {
		return Outcome{}, fmt.Errorf("reading the plan of %q: %w", c.ID, err)
	}
	pre, err := r.preview(p)
	if err != nil {
		return Outcome{}, err
	}
	m, err := r.carryOut(ctx, pre, c, first, second)
	if err != nil {
		return Outcome{}, err
	}
	c, err = access.ConsentByID(ctx, r.Store, c.ID)
	return Outcome{Consent: c, Done: m}, err
}

// carryOut is the one act: consent, cut, doors, start of emergency operation and
// the measure's row in one transaction.
func (r *Room) carryOut(ctx context.Context, pre containment.Preview, c access.Consent, by ...access.Person) (containment.Measure, error) {
	now := r.Now()
	m := containment.Measure{
		ID: containment.NewID(), Incident: pre.Plan.Incident, Title: pre.Plan.Title, Stage: pre.Plan.Stage, Reason: pre.Plan.Reason,
		State: containment.Unconfirmed, Placements: pre.Placements, Components: pre.Components, OrderedBy: by[0].ID, OrderedAt: db.Trim(now), Hash: c.Hash,
	}
	if len(by) > 1 {
		m.State, m.SecondBy = containment.Ordered, by[1].ID
	}
	cut := pre.Command(r.Catalogue, m.ID)
	cut.Sign(now, by...)
	_, err := r.act(ctx, cut, func(ctx context.Context, tx *db.Tx) error {
		if c.ID != "" {
			if _, err := access.Give(ctx, tx, now, c.ID, by[1].ID, func(access.Consent) (any, error) { return pre, nil }); err != nil {
				return err
			}
		}
		return containment.Record(ctx, tx, now, by[0].ID, "measure.recorded", m)
	})
	return m, err
}

// confirmMeasure is the second person's word on a cut in immediate danger.
func confirmMeasure(ctx context.Context, r *Room, as access.Person, a idArgs) (containment.Measure, error) {
	m, err := containment.Get(ctx, r.Store, a.ID)
	if err != nil {
		return m, err
	}
	now := r.Now()
	cmd := &operation.ConfirmCut{Measure: m.ID}
	cmd.Reason = a.Reason
	cmd.Sign(now, as)
	m.State, m.SecondBy = containment.Ordered, as.ID
	_, err = r.act(ctx, cmd, func(ctx context.Context, tx *db.Tx) error {
		return containment.Record(ctx, tx, now, as.ID, "measure.confirmation_recorded", m)
	})
	return m, err
}

// undoMeasure asks for the way back that the rules allow within the window.
func undoMeasure(ctx context.Context, r *Room, as access.Person, a idArgs) (access.Consent, error) {
	m, err := containment.Get(ctx, r.Store, a.ID)
	if err != nil {
		return access.Consent{}, err
	}
	cmd := &operation.UndoCut{Nodes: m.Nodes()}
	cmd.Reason = a.Reason
	return askCommand(ctx, r, as, "Rücknahme: "+m.Title, cmd)
}

type publishArgs struct {
	Reason string `json:"reason"`
}

// publishList asks a second person to agree to the next version of the public list.
func publishList(ctx context.Context, r *Room, as access.Person, a publishArgs) (access.Consent, error) {
	if err := mayTell(as); err != nil {
		return access.Consent{}, err
	}
	l, err := r.nextList(ctx, a.Reason)
	if err != nil {
		return access.Consent{}, err
	}
	return ask(ctx, r, as, access.Question{
		Kind: askList, Payload: a, Shown: l,
		Summary: fmt.Sprintf("Öffentliche Liste, Fassung %d: %s, %s", l.Version,
			catalogue.Counted(len(l.Entries), "ein Eintrag", "%s Einträge"), catalogue.Counted(len(l.Changes), "eine Änderung", "%s Änderungen")),
	})
}

// mayTell says who may ask for and agree to statements.
func mayTell(p access.Person) error {
	if p.Has(access.Press) || p.Has(access.CrisisLead) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Öffentliche Aussagen gibt die Öffentlichkeitsarbeit gemeinsam mit der Leitung des Stabs frei."}
}

// mayRelease says that press and lead are both among the two.
func mayRelease(a, b access.Person) error {
	if err := mayTell(a); err != nil {
		return err
	}
	if err := mayTell(b); err != nil {
		return err
	}
	if !a.Has(access.CrisisLead) && !b.Has(access.CrisisLead) {
		return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Eine der beiden Personen muss zur Leitung des Stabs gehören."}
	}
	return nil
}

func (r *Room) nextList(ctx context.Context, reason string) (notice.List, error) {
	last, err := notice.Newest(ctx, r.Store)
	if err != nil {
		return notice.List{}, err
	}
	return notice.Prepare(last, r.listEntries(), reason)
}

// listEntries are the cells that do not run as usual, in the words of the public.
func (r *Room) listEntries() []notice.Entry {
	var out []notice.Entry
	for _, c := range r.Cells() {
		if c.Regular == operation.Running {
			continue
		}
		kasse, _ := r.Catalogue.Kasse(c.Kasse)
		svc, _ := r.Catalogue.Service(c.Service)
		word := "nicht erreichbar"
		switch {
		case c.Regular == operation.Limited:
			word = "eingeschränkt"
		case c.Emergency == operation.Active:
			word = "im Notbetrieb"
		case c.Regular == operation.Trial:
			word = "im Probebetrieb"
		}
		out = append(out, notice.Entry{
			Kasse: c.Kasse, KasseName: kasse.Name, Service: c.Service, Name: svc.Name,
			State: c.Regular.String(), Word: word, Advice: svc.Alternative,
		})
	}
	return out
}

func (r *Room) approveList(ctx context.Context, c access.Consent, first, second access.Person) (Outcome, error) {
	if err := mayRelease(first, second); err != nil {
		return Outcome{}, err
	}
	var a publishArgs
	if err := json.Unmarshal(c.Payload, &a); err != nil {
		return Outcome{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	shown, err := r.nextList(ctx, a.Reason)
	if err != nil {
		return Outcome{}, err
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		if out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return shown, nil }); err != nil {
			return out, err
		}
		l := shown
		l.PublishedBy, l.SecondBy = first.ID, second.ID
		out.Done, err = notice.Publish(ctx, tx, now, l)
		return out, err
	})
}

// releaseNotice asks a second person to agree to a statement.
func releaseNotice(ctx context.Context, r *Room, as access.Person, n notice.Notice) (access.Consent, error) {
	if err := mayTell(as); err != nil {
		return access.Consent{}, err
	}
	if err := n.Check(); err != nil {
		return access.Consent{}, err
	}
	return ask(ctx, r, as, access.Question{Kind: askNotice, Summary: "Mitteilung an " + audienceWords(n.Audience) + ": " + n.Title, Payload: n, Shown: n})
}

func (r *Room) approveNotice(ctx context.Context, c access.Consent, first, second access.Person) (Outcome, error) {
	if err := mayRelease(first, second); err != nil {
		return Outcome{}, err
	}
	var n notice.Notice
	if err := json.Unmarshal(c.Payload, &n); err != nil {
		return Outcome{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		if out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return n, nil }); err != nil {
			return out, err
		}
		n.ReleasedBy, n.SecondBy = first.ID, second.ID
		out.Done, err = notice.Release(ctx, tx, now, n)
		return out, err
	})
}

package exercise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/incident"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/room"
	"leitstand/warning"
)

// schedule puts an event and the acts that answer it into the agenda.
func (p *player) schedule(e Event) {
	p.at(e.At, func(ctx context.Context) error {
		p.tell("%s (%s)", e.What, e.Source)
		return p.writeLog(ctx, e.Log)
	})
	steps := e.Leitstand
	if p.policy == As2023 {
		steps = e.As2023
	}
	for _, s := range slices.Concat(e.Both, steps) {
		p.scheduleStep(e, s)
	}
}

func (p *player) scheduleStep(e Event, s Step) {
	order := e.At.Add(p.sc.Human.Order)
	second := order.Add(p.sc.Human.Second)
	switch {
	case s.Declare != nil:
		p.at(e.At.Add(p.sc.Human.Second), func(ctx context.Context) error { return p.declare(ctx, *s.Declare) })
	case s.Fact != nil:
		p.at(order, func(ctx context.Context) error { return p.note(ctx, e, *s.Fact) })
	case s.Cut != nil:
		p.asked(order, second, "operator", func(ctx context.Context) (string, error) { return p.orderCut(ctx, *s.Cut) }, p.afterCut)
	case s.List != nil:
		p.asked(second.Add(p.sc.Human.Second), second.Add(2*p.sc.Human.Second), "lead", func(ctx context.Context) (string, error) {
			c, err := room.Do[access.Consent](ctx, p.room, "press", "list.publish", s.List)
			if errors.Is(err, notice.ErrNoChange) {
				return "", nil // the public knows already
			}
			return c.ID, err
		}, nil)
	case s.Notice != nil:
		p.asked(e.At.Add(p.sc.Human.Statement), e.At.Add(p.sc.Human.Statement+p.sc.Human.Second), "lead", func(ctx context.Context) (string, error) {
			c, err := room.Do[access.Consent](ctx, p.room, "press", "notice.release", notice.Notice{
				Incident: p.incident, Audience: notice.Audience(s.Notice.Audience), Title: s.Notice.Title, Text: s.Notice.Text, Certainty: s.Notice.Certainty,
			})
			return c.ID, err
		}, nil)
	case s.Return != nil:
		p.at(e.At, func(ctx context.Context) error { return p.beginReturn(ctx, *s.Return) })
	}
}

// asked lets a first person ask at one time and a second agree at another.
func (p *player) asked(first, second time.Time, by string, ask func(ctx context.Context) (string, error), then func(ctx context.Context) error) {
	p.at(first, func(ctx context.Context) error {
		id, err := ask(ctx)
		if err != nil || id == "" {
			return err
		}
		p.at(second, func(ctx context.Context) error {
			err := p.approve(ctx, by, id)
			if errors.Is(err, access.ErrChanged) { // the situation moved on: the first person asks again
				const moved = "seit der Vorschau hat sich die Lage geändert"
				if _, err := room.Do[access.Consent](ctx, p.room, by, "decline", map[string]string{"id": id, "reason": moved}); err != nil {
					return err
				}
				p.tell("%s lehnt ab, es wird neu gefragt: %s", by, moved)
				p.asked(p.now().Add(p.sc.Human.Second), p.now().Add(2*p.sc.Human.Second), by, ask, then)
				return nil
			}
			if err != nil {
				return err
			}
			if then != nil {
				return then(ctx)
			}
			return nil
		})
		return nil
	})
}

func (p *player) approve(ctx context.Context, by, id string) error {
	out, err := room.Do[room.Outcome](ctx, p.room, by, "approve", map[string]string{"id": id})
	if err != nil {
		return fmt.Errorf("%s approving %s: %w", by, id, err)
	}
	p.tell("%s stimmt zu: %s", by, out.Consent.Summary)
	return nil
}

// writeLog adds lines to the watched log and lets the early warning read them.
func (p *player) writeLog(ctx context.Context, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	f, err := os.OpenFile(p.log, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the watched log: %w", err)
	}
	_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the watched log: %w", err)
	}
	raised, err := p.room.Follow(ctx, p.now(), p.log)
	if err != nil {
		return err
	}
	for _, s := range raised {
		unknown := ""
		if s.Environment == "" { // no cut of what signals name will reach it
			unknown = " (keiner Umgebung zugeordnet)"
		}
		p.tell("Signal: %s auf %s%s", s.Title, s.Host, unknown)
	}
	p.at(p.now().Add(p.sc.Human.Second), p.attachSignals)
	return nil
}

// attachSignals is the operator's decision on open signals: they belong to the incident.
func (p *player) attachSignals(ctx context.Context) error {
	if p.incident == "" {
		return nil // declaring attaches the first, and schedules the rest
	}
	all, err := warning.List(ctx, p.room.Store)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.State != warning.Open {
			continue
		}
		if _, err := room.Do[warning.Signal](ctx, p.room, "operator", "signal.decide", map[string]any{
			"id": s.ID, "to": warning.Attached, "incident": p.incident,
		}); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) declare(ctx context.Context, s DeclareStep) error {
	all, err := warning.List(ctx, p.room.Store)
	if err != nil {
		return err
	}
	signal := ""
	for _, sig := range all {
		if sig.State == warning.Open {
			signal = sig.ID // the list is newest first: the oldest stays
		}
	}
	i, err := room.Do[incident.Incident](ctx, p.room, "lead", "incident.declare", map[string]string{"title": s.Title, "grade": s.Grade, "signal": signal})
	if err != nil {
		return err
	}
	p.incident = i.ID
	p.tell("Vorfall erklärt: %s", i.Title)
	return p.attachSignals(ctx)
}

func (p *player) note(ctx context.Context, e Event, s FactStep) error {
	f := incident.Fact{
		Incident: p.incident, Happened: s.Happened, Source: e.Source, Certainty: incident.Certainty(s.Certainty), Text: s.Text, Corrects: p.facts[s.Corrects],
	}
	if f.Happened.IsZero() {
		f.Happened = e.At
	}
	f, err := room.Do[incident.Fact](ctx, p.room, "lead", "fact.note", f)
	p.facts[s.Text] = f.ID
	return err
}

// selection turns a scenario's words into a selection of containment.
func (p *player) selection(ctx context.Context, s Select) (containment.Selection, error) {
	out := containment.Selection{
		Kassen: typed[catalogue.KasseID](s.Kassen), Services: typed[catalogue.ServiceID](s.Services), Sites: typed[catalogue.SiteID](s.Sites), Except: s.Except,
		Components: typed[catalogue.ComponentID](s.Components),
	}
	if !s.Signalled {
		return out, nil
	}
	all, err := warning.List(ctx, p.room.Store)
	if err != nil {
		return out, err
	}
	for _, sig := range all {
		if sig.Environment != "" && !slices.Contains(out.Environments, sig.Environment) {
			out.Environments = append(out.Environments, sig.Environment)
		}
	}
	slices.Sort(out.Environments)
	if len(out.Environments) == 0 {
		return out, errors.New("no signal names an environment")
	}
	return out, nil
}

func typed[T ~string](in []string) []T {
	out := make([]T, len(in))
	for i, s := range in {
		out[i] = T(s)
	}
	return out
}

// orderCut orders a measure and returns the request for consent.
func (p *player) orderCut(ctx context.Context, s CutStep) (string, error) {
	sel, err := p.selection(ctx, s.Select)
	if err != nil {
		return "", err
	}
	doors, err := s.behaviours(p.room.Catalogue)
	if err != nil {
		return "", err
	}
	plan := containment.Plan{
		Incident: p.incident, Title: s.Title, Stage: s.Stage, Reason: s.Reason, Selection: sel, Behaviour: doors,
		Emergency: typed[catalogue.ServiceID](s.Emergency),
	}
	o, err := room.Do[room.Ordered](ctx, p.room, "lead", "measure.order", plan)
	if err != nil {
		return "", fmt.Errorf("ordering %q: %w", s.Title, err)
	}
	for _, pl := range o.Preview.Placements {
		if kasse, ok := p.world.boxes[pl]; ok && doors[eauService] == catalogue.Refuse {
			p.world.refuse[kasse] = true
		}
	}
	p.tell("angeordnet: %s: %s", s.Title, o.Preview.Sentence)
	return o.Consent.ID, nil
}

// afterCut carries the measure out outside and proves it.
func (p *player) afterCut(ctx context.Context) error {
	if err := p.room.Isolate(ctx); err != nil {
		return err
	}
	state := p.room.Operation.Current()
	for _, pl := range state.Placements() {
		if !pl.Regular.Connected() && pl.Writing.Writer == operation.RegularSide {
			return fmt.Errorf("%s is cut, and its regular side is not proven closed", pl.ID)
		}
	}
	return p.pointEmployers(ctx)
}

// pointEmployers tells employers where to ask: at the emergency service while
// any intake is in emergency operation.
func (p *player) pointEmployers(ctx context.Context) error {
	if p.world.employers == nil {
		return nil
	}
	url := ""
	for _, pl := range p.room.Operation.Current().Placements() {
		if pl.Emergency == operation.Active {
			url = "http://" + p.world.desk.addr + "/"
		}
	}
	_, err := p.world.employers.Do(ctx, "endpoint", EndpointCommand{URL: url})
	return err
}

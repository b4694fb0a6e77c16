package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
)

// planActs are the acts around the plan of the way back.
func planActs() map[string]handler {
	return map[string]handler{
		"plan.make":   doing(makePlan),
		"plan.replan": doing(replan),
		"plan.list": reading(func(ctx context.Context, r *Room, _ none) ([]recovery.PlanHead, error) {
			return recovery.PlanHeads(ctx, r.Store)
		}),
		"plan.show":     reading(showPlan),
		"plan.why":      reading(whyTask),
		"plan.day":      reading(planDays),
		"plan.gantt":    reading(planGantt),
		"plan.forecast": reading(planForecast),
		"plan.whatif":   reading(planWhatIf),
		"plan.report":   doing(reportTasks),
		"plan.terms": reading(func(ctx context.Context, r *Room, _ none) (recovery.Terms, error) {
			return recovery.CurrentTerms(ctx, r.Store)
		}),
		"plan.compare": reading(compareTerms),
		"plan.agree":   doing(agreeTerms),
		"plan.prefer":  doing(preferPriorities),
	}
}

// Limits of what one act may cost.
const (
	maxPlanSchedules = 1_000_000
	maxPlanSeconds   = 3600
	maxPlanRuns      = 20_000
)

// searchArgs say how far a plan is improved.
type searchArgs struct {
	Schedules int64   `json:"schedules,omitempty"` // the result then depends on state and seed alone
	Seconds   float64 `json:"seconds,omitempty"`   // or: as long as this
	Seed      uint64  `json:"seed,omitempty"`
}

func (a searchArgs) search() (recovery.Search, error) {
	if a.Schedules < 0 || a.Schedules > maxPlanSchedules || !(a.Seconds >= 0 && a.Seconds <= maxPlanSeconds) {
		return recovery.Search{}, fmt.Errorf("schedules %d, seconds %v: up to %d and %d", a.Schedules, a.Seconds, maxPlanSchedules, maxPlanSeconds)
	}
	return recovery.Search{Schedules: a.Schedules, For: time.Duration(a.Seconds * float64(time.Second)), Seed: a.Seed}, nil
}

// Zone is the zone of shifts and of times that people read.
func Zone() *time.Location {
	l, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		return time.UTC // no zone data on this machine: shifts are then in UTC, as all times told
	}
	return l
}

// ground is what a plan is made of right now.
func (r *Room) ground(ctx context.Context) (recovery.Ground, error) {
	g := recovery.Ground{Catalogue: r.Catalogue, Zone: Zone(), Now: r.Now()}
	var err error
	if g.Situation, err = recovery.SituationOf(r.Operation.Current(), g.Now); err != nil {
		return g, err
	}
	if g.Terms, err = recovery.CurrentTerms(ctx, r.Store); err != nil {
		return g, err
	}
	g.Reports, err = recovery.Reports(ctx, r.Store)
	return g, err
}

type makePlanArgs struct {
	searchArgs
	Reason string             `json:"reason"`
	Lost   []catalogue.SiteID `json:"lost,omitempty"` // sites given up
	// of a new plan after news only
	Trusted   bool     `json:"trusted,omitempty"`   // what should have ended has, though nobody said so
	Stability *float64 `json:"stability,omitempty"` // instead of the terms'
}

// PlanView is a plan as people and programs read it.
type PlanView struct {
	ID         string                  `json:"id"`
	Version    int64                   `json:"version"`
	Replaces   string                  `json:"replaces,omitempty"`
	MadeAt     time.Time               `json:"made_at"`
	MadeBy     string                  `json:"made_by"`
	Reason     string                  `json:"reason"`
	Terms      int64                   `json:"terms"`
	Assumed    bool                    `json:"terms_assumed,omitempty"`
	Figures    recovery.Figures        `json:"figures"`
	AsReported recovery.Figures        `json:"as_reported"`
	AboveBound float64                 `json:"above_bound"` // loss over what no plan can be below; 1 is proven best
	WorstKasse string                  `json:"worst_kasse,omitempty"`
	Worst      float64                 `json:"worst"` // hours without service that an average insured of that Kasse bears
	Broken     []string                `json:"broken,omitempty"`
	Schedules  int64                   `json:"schedules"`
	Seconds    float64                 `json:"seconds,omitempty"` // of planning
	Change     *recovery.Change        `json:"change,omitempty"`
	Lost       []recovery.Lost         `json:"lost,omitempty"`
	Forecast   *recovery.Range         `json:"forecast,omitempty"` // of the last cell
	Cells      []recovery.CellBack     `json:"cells,omitempty"`
	Positions  []recovery.PlanPosition `json:"positions,omitempty"`
}

func viewPlan(p *recovery.Plan) PlanView {
	v := PlanView{
		ID: p.ID, Version: p.Version, Replaces: p.Replaces, MadeAt: p.MadeAt, MadeBy: p.MadeBy, Reason: p.Reason, Terms: p.Terms, Assumed: p.Assumed,
		Figures: p.Figures(), AsReported: p.ReportedFigures(), WorstKasse: p.Schedule.WorstGroup, Worst: p.Schedule.Worst,
		Schedules: p.Schedules, Change: p.Change, Lost: p.Lost, AboveBound: 1,
	}
	if p.Bound > 0 {
		v.AboveBound = p.Schedule.Loss / p.Bound
	}
	for _, b := range p.Schedule.Broken {
		v.Broken = append(v.Broken, b.What)
	}
	return v
}

// makePlan plans the way back afresh and puts the plan in force.
func makePlan(ctx context.Context, r *Room, as access.Person, a makePlanArgs) (PlanView, error) {
	if a.Trusted || a.Stability != nil {
		return PlanView{}, errors.New("trusted and stability belong to plan.replan")
	}
	return r.plan(ctx, as, a, func(ctx context.Context, g recovery.Ground, s recovery.Search) (*recovery.Plan, error) {
		return recovery.Make(ctx, g, s)
	})
}

// replan plans anew after news and changes as little as possible.
func replan(ctx context.Context, r *Room, as access.Person, a makePlanArgs) (PlanView, error) {
	before, err := recovery.GetPlan(ctx, r.Store, "")
	if err != nil {
		return PlanView{}, err
	}
	return r.plan(ctx, as, a, func(ctx context.Context, g recovery.Ground, s recovery.Search) (*recovery.Plan, error) {
		g.LostSites = append(g.LostSites, before.LostSites...)
		if a.Stability != nil {
			g.Terms.Stability = *a.Stability
		}
		if err := g.Terms.Check(); err != nil {
			return nil, err
		}
		return recovery.Remake(ctx, g, before, a.Trusted, s)
	})
}

func (r *Room) plan(ctx context.Context, as access.Person, a makePlanArgs, plan func(context.Context, recovery.Ground, recovery.Search) (*recovery.Plan, error)) (PlanView, error) {
	if !as.Has(access.CrisisLead) && !as.Has(access.Operator) {
		return PlanView{}, &Failure{Text: "Einen Plan setzen Leitung oder Betrieb in Kraft.", err: recovery.ErrMayNotPlan}
	}
	s, err := a.search()
	if err != nil {
		return PlanView{}, err
	}
	g, err := r.ground(ctx)
	if err != nil {
		return PlanView{}, err
	}
	for _, id := range a.Lost {
		if _, ok := r.Catalogue.Site(id); !ok {
			return PlanView{}, fmt.Errorf("site %q is not in the catalogue", id)
		}
	}
	g.LostSites = a.Lost
	began := time.Now()
	p, err := plan(ctx, g, s)
	if err != nil {
		return PlanView{}, err
	}
	took := time.Since(began).Seconds()
	p, err = write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (*recovery.Plan, error) {
		return p, recovery.PutPlan(ctx, tx, now, as, a.Reason, p)
	})
	if err != nil {
		return PlanView{}, err
	}
	v := viewPlan(p)
	v.Seconds = took
	return v, nil
}

type showPlanArgs struct {
	ID        string              `json:"id,omitempty"` // empty: in force
	Kasse     catalogue.KasseID   `json:"kasse,omitempty"`
	Service   catalogue.ServiceID `json:"service,omitempty"`
	Positions bool                `json:"positions,omitempty"`
}

// showPlan shows a plan, if wanted with every position and why it stands there.
func showPlan(ctx context.Context, r *Room, a showPlanArgs) (PlanView, error) {
	p, err := recovery.GetPlan(ctx, r.Store, a.ID)
	if err != nil {
		return PlanView{}, err
	}
	v := viewPlan(p)
	v.Cells = slices.DeleteFunc(p.Cells(), func(c recovery.CellBack) bool {
		return a.Kasse != "" && c.Kasse != a.Kasse || a.Service != "" && c.Service != a.Service
	})
	if !a.Positions {
		return v, nil
	}
	x, err := recovery.NewExplainer(p, Zone())
	if err != nil {
		return v, err
	}
	v.Positions, err = x.Some(func(t recovery.Task) bool {
		return (a.Kasse == "" || t.Kasse == a.Kasse) && (a.Service == "" || t.Service == a.Service)
	})
	return v, err
}

type whyArgs struct {
	ID   string `json:"id,omitempty"`
	Task string `json:"task"`
}

// Reasons is why one task stands where it does.
type Reasons struct {
	recovery.PlanPosition
	Weight   string            `json:"weight,omitempty"` // what an hour of it costs
	Forecast recovery.Range    `json:"forecast"`
	Gaps     []operation.Gap   `json:"gaps,omitempty"` // what the gate misses for it right now
	Reports  []recovery.Report `json:"reports,omitempty"`
}

// whyTask explains one position.
func whyTask(ctx context.Context, r *Room, a whyArgs) (Reasons, error) {
	p, err := recovery.GetPlan(ctx, r.Store, a.ID)
	if err != nil {
		return Reasons{}, err
	}
	x, err := recovery.NewExplainer(p, Zone())
	if err != nil {
		return Reasons{}, err
	}
	pos, err := x.Task(a.Task)
	if err != nil {
		return Reasons{}, err
	}
	out := Reasons{PlanPosition: pos, Weight: x.Weight(pos)}
	if out.Gaps, err = r.gapsOf(pos); err != nil {
		return out, err
	}
	all, err := recovery.Reports(ctx, r.Store)
	out.Reports = slices.DeleteFunc(all, func(rep recovery.Report) bool { return rep.Task != a.Task })
	return out, err
}

// gapsOf is what the gate still misses for the placements or component of a position.
func (r *Room) gapsOf(pos recovery.PlanPosition) ([]operation.Gap, error) {
	var nodes []string
	if _, ok := r.Catalogue.Component(catalogue.ComponentID(pos.Subject)); ok {
		nodes = []string{pos.Subject}
	}
	for _, p := range r.Catalogue.PlacementsOf(pos.Kasse, pos.Service) {
		if pos.Site == "" || p.Site == pos.Site {
			nodes = append(nodes, string(p.ID))
		}
	}
	if len(nodes) == 0 {
		return nil, nil
	}
	return r.Operation.Current().Gaps(nodes, r.Now())
}

type dayArgs struct {
	ID   string `json:"id,omitempty"`
	Date string `json:"date,omitempty"` // 2006-01-02; empty: today
	Team string `json:"team,omitempty"`
}

// planDays are the day plans of all teams, or of one.
func planDays(ctx context.Context, r *Room, a dayArgs) ([]recovery.Day, error) {
	date := r.Now()
	if a.Date != "" {
		var err error
		if date, err = time.ParseInLocation(time.DateOnly, a.Date, Zone()); err != nil {
			return nil, fmt.Errorf("date %q: want one such as 2026-05-04", a.Date)
		}
	}
	p, err := recovery.GetPlan(ctx, r.Store, a.ID)
	if err != nil {
		return nil, err
	}
	x, err := recovery.NewExplainer(p, Zone())
	if err != nil {
		return nil, err
	}
	days, err := x.Days(date, a.Team)
	for i := range days {
		days[i].Exercise = r.Settings.Exercise
	}
	return days, err
}

type ganttArgs struct {
	ID       string            `json:"id,omitempty"`
	Kasse    catalogue.KasseID `json:"kasse,omitempty"`    // empty: all, a line for each
	Forecast bool              `json:"forecast,omitempty"` // with P50 and P90
}

// Picture is a drawing as SVG.
type Picture struct {
	SVG string `json:"svg"`
}

func planGantt(ctx context.Context, r *Room, a ganttArgs) (Picture, error) {
	if _, ok := r.Catalogue.Kasse(a.Kasse); !ok && a.Kasse != "" {
		return Picture{}, fmt.Errorf("Kasse %q is not in the catalogue", a.Kasse)
	}
	p, err := recovery.GetPlan(ctx, r.Store, a.ID)
	if err != nil {
		return Picture{}, err
	}
	var f *recovery.Forecast
	if a.Forecast {
		if f, err = planForecast(ctx, r, forecastArgs{ID: a.ID}); err != nil {
			return Picture{}, err
		}
	}
	return Picture{p.Gantt(r.Catalogue, a.Kasse, f, Zone())}, nil
}

type forecastArgs struct {
	ID   string `json:"id,omitempty"`
	Runs int    `json:"runs,omitempty"` // 0: 2000
	Seed uint64 `json:"seed,omitempty"`
}

// planForecast plays a plan from now on; the answer for the plan in force is kept
// for an hour of the room's clock.
func planForecast(ctx context.Context, r *Room, a forecastArgs) (*recovery.Forecast, error) {
	if a.Runs < 0 || a.Runs > maxPlanRuns {
		return nil, fmt.Errorf("runs %d: 1 to %d", a.Runs, maxPlanRuns)
	}
	p, err := recovery.GetPlan(ctx, r.Store, a.ID)
	if err != nil {
		return nil, err
	}
	key := foretold{p.ID, p.Slot(r.Now()), a.Runs, a.Seed}
	return r.forecasts.get(key, func() (*recovery.Forecast, error) { return recovery.Foretell(p, r.Now(), a.Runs, a.Seed) })
}

type whatIfArgs struct {
	searchArgs
	recovery.WhatIf
}

// planWhatIf answers a question and changes nothing.
func planWhatIf(ctx context.Context, r *Room, a whatIfArgs) (*recovery.Answer, error) {
	s, err := a.search()
	if err != nil {
		return nil, err
	}
	g, err := r.ground(ctx)
	if err != nil {
		return nil, err
	}
	inForce, err := recovery.GetPlan(ctx, r.Store, "")
	if err != nil && !errors.Is(err, recovery.ErrNoPlan) {
		return nil, err
	}
	if errors.Is(err, recovery.ErrNoPlan) {
		inForce = nil
	}
	return recovery.Ask(ctx, g, inForce, a.WhatIf, s)
}

type reportArgs struct {
	Reports []recovery.Report `json:"reports"`
}

// maxReports is how many tasks are reported on at once.
const maxReports = 1000

// reportTasks records how far work has come. The plan changes only when somebody
// plans anew.
func reportTasks(ctx context.Context, r *Room, as access.Person, a reportArgs) ([]recovery.Report, error) {
	if len(a.Reports) == 0 || len(a.Reports) > maxReports {
		return nil, fmt.Errorf("%d reports: 1 to %d", len(a.Reports), maxReports)
	}
	p, err := recovery.GetPlan(ctx, r.Store, "")
	if err != nil {
		return nil, err
	}
	kasse := map[string]catalogue.KasseID{}
	for _, t := range p.Tasks {
		kasse[t.ID] = t.Kasse
	}
	now := r.Now()
	for i := range a.Reports {
		rep := &a.Reports[i]
		k, ok := kasse[rep.Task]
		if !ok {
			return nil, fmt.Errorf("%q: %w", rep.Task, recovery.ErrNoTask)
		}
		if !as.Has(access.CrisisLead) && !as.Has(access.Operator) && !as.Has(access.Examiner) && !(as.Has(access.KasseDelegate) && as.Kasse == k) {
			return nil, &Failure{Text: "Über Aufgaben berichten Leitung, Betrieb, Forensik und über ihre eigenen die Kasse."}
		}
		if rep.At.IsZero() {
			rep.At = now
		}
		if rep.At.After(now) && rep.What != recovery.Late {
			return nil, fmt.Errorf("%q: %s in the future", rep.Task, rep.What)
		}
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) ([]recovery.Report, error) {
		return recovery.PutReports(ctx, tx, now, as.ID, a.Reports)
	})
}

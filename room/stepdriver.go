package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/recovery"
)

// runOrdered lets drivers carry out what was ordered and waits for nothing any
// more: one step, or all if id is empty.
func (r *Room) runOrdered(ctx context.Context, id string) (StepResult, error) {
	steps, err := recovery.Steps(ctx, r.Store)
	if err != nil || !slices.ContainsFunc(steps, func(s recovery.Step) bool { return s.State == recovery.StepOrdered && (id == "" || s.ID == id) }) {
		return StepResult{}, err
	}
	b, _, err := r.stepBoard(ctx)
	if err != nil {
		return StepResult{}, err
	}
	out := StepResult{}
	for _, v := range b.Views {
		if v.State != recovery.StepOrdered || !v.Ready() || id != "" && v.ID != id {
			continue
		}
		d, err := r.stepDriver(v.Task)
		if err != nil {
			return out, err
		}
		if d == nil {
			r.opt.Log.Warn("a step was ordered, and no driver is named for it any more", slog.String("step", v.ID))
			continue
		}
		if out, err = stepped(r.steps.Run(ctx, v, d, v.By...)); err != nil {
			return out, err
		}
		if out.Problem != "" {
			r.opt.Log.Error("a step of the way back", slog.String("step", v.ID), slog.String("problem", out.Problem))
		}
	}
	return out, nil
}

// stepOutside lets a driver of containment carry out a step of recovery.
type stepOutside struct {
	driver containment.Driver
	target containment.Target
}

// stepDriver is the driver that drivers.yml names for a task; nil when people do it.
func (r *Room) stepDriver(t recovery.Task) (recovery.StepDriver, error) {
	x, err := r.acting()
	if errors.Is(err, ErrNoDrivers) || errors.Is(err, ErrExercise) {
		return nil, nil //nolint:nilnil // by hand, which is no error
	}
	if err != nil {
		return nil, err
	}
	env := catalogue.EnvironmentID(t.Subject)
	if p, ok := r.Catalogue.Placement(catalogue.PlacementID(t.Subject)); ok {
		env = p.Environment
	} else if _, ok := r.Catalogue.Environment(env); !ok {
		env = ""
		for _, p := range r.Catalogue.PlacementsOf(t.Kasse, t.Service) {
			if p.Site == t.Site {
				env = p.Environment
			}
		}
	}
	d, target, ok := x.Drivers.ForStep(string(t.Kind), t.Subject, t.ID, env)
	if !ok {
		return nil, nil //nolint:nilnil // likewise
	}
	return &stepOutside{d, target}, nil
}

func (o *stepOutside) of(a recovery.StepAct) containment.Target {
	t := o.target
	t.Act = a.ID
	return t
}

// Name is the driver's name.
func (o *stepOutside) Name() string { return o.driver.Name() }

// DryRun shows the exact commands.
func (o *stepOutside) DryRun(ctx context.Context, a recovery.StepAct) (recovery.StepPreview, error) {
	d, err := o.driver.DryRun(ctx, o.of(a))
	if err != nil {
		return recovery.StepPreview{}, fmt.Errorf("dry run of %q: %w", a.Task.ID, err)
	}
	return recovery.StepPreview{Driver: d.Driver, Words: "Der Treiber " + d.Driver + " führt aus: " + a.Task.Label, Exact: d.Exact}, nil
}

// Execute acts.
func (o *stepOutside) Execute(ctx context.Context, a recovery.StepAct) error {
	return o.driver.Execute(ctx, o.of(a))
}

// Probe looks.
func (o *stepOutside) Probe(ctx context.Context, a recovery.StepAct) (bool, string, error) {
	seen, err := o.driver.Probe(ctx, o.of(a))
	detail := seen.Detail
	if detail == "" && seen.Held {
		detail = "an Ort und Stelle"
	}
	return seen.Held, detail, err
}

// Undo takes back.
func (o *stepOutside) Undo(ctx context.Context, a recovery.StepAct) error {
	return o.driver.Undo(ctx, o.of(a))
}

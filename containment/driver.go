package containment

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"leitstand/catalogue"
)

// Driver carries one kind of act out on the outside world. Execute and Undo are
// idempotent: repeating them changes nothing. None of them touches what it did
// not make itself.
type Driver interface {
	// Name is the name that the configuration gave it.
	Name() string
	// DryRun says in words and exactly what Execute would do, and does nothing.
	DryRun(ctx context.Context, t Target) (DryRun, error)
	// Execute takes the target off the network. [ErrWaiting] says that a person
	// must carry it out and confirm.
	Execute(ctx context.Context, t Target) error
	// Probe looks whether what Execute does is in place. It proves nothing about
	// what can be reached: the probes from outside do.
	Probe(ctx context.Context, t Target) (Seen, error)
	// Undo takes back what Execute did, and nothing else.
	Undo(ctx context.Context, t Target) error
}

// Target is what an act is about: an environment, the systems of one placement
// in it, or a component.
type Target struct {
	ID          string                  `json:"id"` // of the environment, the placement or the component
	Environment catalogue.EnvironmentID `json:"environment,omitempty"`
	Component   catalogue.ComponentID   `json:"component,omitempty"`
	Placements  []catalogue.PlacementID `json:"placements,omitempty"`
	Addresses   []netip.Prefix          `json:"addresses"`
	// Always are management and evidence addresses: they stay reachable.
	Always []netip.Prefix    `json:"always,omitempty"`
	Params map[string]string `json:"params,omitempty"` // of the step, such as the namespace
	// Act is the id of the act and its key of idempotency; empty in a dry run.
	Act     string `json:"act,omitempty"`
	Measure string `json:"measure,omitempty"`
}

// DryRun is what a driver would do: one sentence, and the exact rules or commands.
type DryRun struct {
	Driver string   `json:"driver"`
	Target string   `json:"target"`
	Words  string   `json:"words"`
	Exact  []string `json:"exact"`
}

// Seen is what a driver found when it looked at its own work.
type Seen struct {
	Held   bool   `json:"held"`
	Detail string `json:"detail,omitempty"`
}

// ErrWaiting says that the act now lies with a person, who confirms it.
var ErrWaiting = errors.New("a person carries it out and confirms")

// owner is the environment or the component whose systems the target is.
func (t Target) owner() string {
	if t.Component != "" {
		return string(t.Component)
	}
	return string(t.Environment)
}

// expand fills the placeholders of a template: {environment} (of a component: the component), {target},
// {addresses}, {act}, {measure} and the step's own parameters. An unknown one is
// left as it is, which check refuses when the configuration is read.
func (t Target) expand(template string) string {
	pairs := make([]string, 0, 10+2*len(t.Params))
	pairs = append(
		pairs, "{environment}", t.owner(), "{target}", t.ID, "{addresses}", t.addressList(","),
		"{act}", t.Act, "{measure}", t.Measure,
	)
	for k, v := range t.Params {
		pairs = append(pairs, "{"+k+"}", v)
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

func (t Target) expandAll(templates []string) []string {
	out := make([]string, len(templates))
	for i, s := range templates {
		out[i] = t.expand(s)
	}
	return out
}

func (t Target) addressList(sep string) string {
	out := make([]string, len(t.Addresses))
	for i, p := range t.Addresses {
		out[i] = addressText(p)
	}
	return strings.Join(out, sep)
}

// addressText writes a single address without its length.
func addressText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

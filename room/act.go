package room

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"leitstand/access"
	"leitstand/operation"
)

// Act is one thing that a person wants done or wants to know.
type Act struct {
	Name string          `json:"act"`
	As   string          `json:"as"` // person id; not needed for reading
	Args json.RawMessage `json:"args,omitempty"`
}

// handler carries an act out and returns what to print, as JSON.
type handler struct {
	reads bool // changes nothing: needs no person
	do    func(ctx context.Context, r *Room, as access.Person, args json.RawMessage) (any, error)
}

// Failure is an act that was not carried out, in the form that commands print
// and the API sends. Rule is 0 when no rule refused it.
type Failure struct {
	Rule int    `json:"rule"`
	Text string `json:"text"`
	err  error
}

func (f *Failure) Error() string { return f.Text }

// Unwrap gives the domain's own error, when there is one.
func (f *Failure) Unwrap() error { return f.err }

// ErrNoAct says that an act is not known.
var ErrNoAct = errors.New("no such act")

// doing makes a handler of a typed function. Unknown arguments are refused:
// a typing mistake must not make an act mean something else.
func doing[A, R any](fn func(ctx context.Context, r *Room, as access.Person, args A) (R, error)) handler {
	return handler{do: func(ctx context.Context, r *Room, as access.Person, raw json.RawMessage) (any, error) {
		var args A
		if len(raw) > 0 {
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&args); err != nil {
				return nil, fmt.Errorf("reading the arguments: %w", err)
			}
		}
		return fn(ctx, r, as, args)
	}}
}

// reading makes a handler that changes nothing.
func reading[A, R any](fn func(ctx context.Context, r *Room, args A) (R, error)) handler {
	h := doing(func(ctx context.Context, r *Room, _ access.Person, args A) (R, error) { return fn(ctx, r, args) })
	h.reads = true
	return h
}

// Do carries an act out. The error of a refused act is a [*Failure].
func (r *Room) Do(ctx context.Context, a Act) (any, error) {
	h, ok := handlers()[a.Name]
	if !ok {
		return nil, fmt.Errorf("%q: %w (known: %v)", a.Name, ErrNoAct, ActNames())
	}
	var as access.Person
	if !h.reads {
		var err error
		if as, err = access.Get(ctx, r.Store, a.As); err != nil {
			return nil, fmt.Errorf("acting as %w", err)
		}
		if _, err := r.lookAtClock(ctx, "running"); err != nil {
			return nil, err
		}
	}
	out, err := h.do(ctx, r, as, a.Args)
	if refused, ok := errors.AsType[*operation.Refused](err); ok {
		return nil, &Failure{Rule: int(refused.Rule), Text: refused.Text}
	}
	if errors.Is(err, ErrFenced) {
		return nil, &Failure{Rule: int(operation.RuleOneWriter), Text: err.Error(), err: err}
	}
	for _, consent := range []error{access.ErrSamePerson, access.ErrUnknownPerson, access.ErrChanged, access.ErrExpired, access.ErrDecided} {
		if errors.Is(err, consent) {
			return nil, &Failure{Rule: int(operation.RuleTwoPeople), Text: err.Error(), err: err}
		}
	}
	return out, err
}

// ActNames lists every act, sorted.
func ActNames() []string { return slices.Sorted(maps.Keys(handlers())) }

// Do carries out a typed act and returns its typed result; for Go callers.
func Do[R any](ctx context.Context, r *Room, as, name string, args any) (R, error) {
	var zero R
	raw, err := json.Marshal(args)
	if err != nil {
		return zero, fmt.Errorf("encoding the arguments of %q: %w", name, err)
	}
	out, err := r.Do(ctx, Act{Name: name, As: as, Args: raw})
	if err != nil {
		return zero, err
	}
	typed, ok := out.(R)
	if !ok {
		return zero, fmt.Errorf("act %q returns %T, not %T", name, out, zero)
	}
	return typed, nil
}

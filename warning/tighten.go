package warning

import (
	"context"
	"fmt"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// Watched are environments under observation after they came back, each with the
// step that observes it. What is noticed about them weighs one level more than
// its rule says: it is due sooner, escalated sooner, and sooner a reason to
// suggest taking the environment off. Correlations that count need half as much. Nothing here ends by a clock: who observes
// says when it is over.
type Watched map[catalogue.EnvironmentID]string

// tighten raises a new signal by one level and says why.
func (w Watched) tighten(s Signal) Signal {
	step, ok := w[s.Environment]
	if !ok || s.Environment == "" {
		return s
	}
	was := s.Level
	s.Level = levelAbove(was)
	s.Matched = append(append([]string{}, s.Matched...), fmt.Sprintf("Beobachtung %s: Frühwarnung verschärft, die Regel sagt %s", step, was))
	return s
}

// only leaves out what came early: half of a correlation's limit counts where it is
// under observation, and where the limit itself is not reached at the same time.
func (w Watched) only(hits []Hit, place func(host string) catalogue.EnvironmentID) []Hit {
	full := map[[2]string]bool{}
	for _, h := range hits {
		if !h.Early {
			full[[2]string{ruleID(h.Rule), h.Group}] = true
		}
	}
	out := make([]Hit, 0, len(hits))
	for _, h := range hits {
		step, ok := w[place(h.Host)]
		switch {
		case !h.Early:
		case !ok, full[[2]string{ruleID(h.Rule), h.Group}]:
			continue
		default:
			h.Matched = append(append([]string{}, h.Matched...), fmt.Sprintf("Beobachtung %s: Schwelle halbiert", step))
		}
		out = append(out, h)
	}
	return out
}

// levelAbove is the next level; the highest stays.
func levelAbove(level string) string {
	switch level {
	case "informational":
		return "low"
	case "low":
		return "medium"
	case "medium":
		return "high"
	}
	return "critical" // from high, and from what nobody knows, which is treated as high
}

// watched reads what is under observation, if the room has a way to know.
func (in *Intake) watched(ctx context.Context, tx *db.Tx) (Watched, error) {
	if in.opt.Watched == nil {
		return nil, nil //nolint:nilnil // nothing is watched
	}
	w, err := in.opt.Watched(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("reading what is under observation: %w", err)
	}
	return w, nil
}

package warning

import (
	"context"
	"slices"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// Duty says who owns a signal, and who after them.
type Duty struct {
	Owner        string                             `json:"owner"`                  // person id; gets what nobody else gets
	Environments map[catalogue.EnvironmentID]string `json:"environments,omitempty"` // owners of signals about an environment
	Kassen       map[catalogue.KasseID]string       `json:"kassen,omitempty"`       // owners of signals about a Kasse's other environments
	Deputies     []string                           `json:"deputies,omitempty"`     // who gets what its owner did not take on in time, in this order
}

// OwnerOf is who owns a new signal about an environment ("" when unknown).
func (d Duty) OwnerOf(env catalogue.EnvironmentID) string {
	if p := d.Environments[env]; p != "" {
		return p
	}
	if k, _, ok := env.Split(); ok && d.Kassen[k] != "" {
		return d.Kassen[k]
	}
	return d.Owner
}

// next is who owns a signal after one more escalation. The last deputy keeps it.
func (d Duty) next(s Signal) string {
	for _, p := range d.Deputies {
		if p != s.Owner && !slices.Contains(s.Asked, p) {
			return p
		}
	}
	return s.Owner
}

// EscalateDue counts up and extends every undecided signal whose deadline has
// passed, and gives it to the next deputy. One that was acknowledged and not
// brought to an end is open again.
func (d Duty) EscalateDue(ctx context.Context, tx *db.Tx, now time.Time) ([]Signal, error) {
	due, err := signals(ctx, tx, `where state in ('open', 'acknowledged') and deadline <= $1 order by deadline, id`, db.Micro(now))
	if err != nil {
		return nil, err
	}
	for i := range due {
		s := &due[i]
		s.Escalated++
		s.State = Open
		s.Deadline = db.Trim(now.Add(within(s.Level)))
		if next := d.next(*s); next != s.Owner {
			s.Asked = append(s.Asked, s.Owner)
			s.Owner = next
		}
		if err := store(ctx, tx, now, ledger.System, "signal.escalated", *s); err != nil {
			return nil, err
		}
	}
	return due, nil
}

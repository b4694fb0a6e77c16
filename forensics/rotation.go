package forensics

import (
	"fmt"
	"slices"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Rotation is the proof that the credentials of a scope were changed.
type Rotation struct {
	ID         string     `json:"id"`
	Scope      Scope      `json:"scope"`
	Covers     []string   `json:"covers,omitempty"` // environments and components of a realm
	Evidence   []Evidence `json:"evidence"`
	RotatedAt  time.Time  `json:"rotated_at"` // when the last of them was changed
	By         string     `json:"by"`
	RecordedAt time.Time  `json:"recorded_at"`
	Version    int64      `json:"version"` // of the room's state that wrote it
}

// Prove makes a rotation proof, or says what it lacks. It needs ID, Scope,
// Evidence, RotatedAt and By.
func Prove(now time.Time, r Rotation) (Rotation, error) {
	if err := r.Scope.check(); err != nil {
		return Rotation{}, err
	}
	if err := r.Scope.checkCovers(r.Covers); err != nil {
		return Rotation{}, fmt.Errorf("rotation for %s: %w", r.Scope, err)
	}
	if err := checkEvidence(r.Evidence); err != nil {
		return Rotation{}, fmt.Errorf("rotation for %s: %w", r.Scope, err)
	}
	if r.RotatedAt.IsZero() || r.RotatedAt.After(now) {
		return Rotation{}, fmt.Errorf("rotation for %s: the time of the last change is needed, and it has passed", r.Scope)
	}
	r.Covers, r.Evidence = slices.Clone(r.Covers), slices.Clone(r.Evidence)
	r.RotatedAt, r.RecordedAt = db.Trim(r.RotatedAt), db.Trim(now)
	return r, nil
}

// Subjects lists the environments and components whose credentials it is about.
func (r Rotation) Subjects() []string { return r.Scope.covered(r.Covers) }

// Row is the proof as the ledger keeps it.
func (r Rotation) Row() ledger.Row { return ledger.Row{Table: "rotation", Key: r.ID, Value: r} }

// Indicator is a trace of the attacker. It names what it concerns, so that
// nothing of it is reconnected by undoing a cut.
type Indicator struct {
	ID         string    `json:"id"`
	Value      string    `json:"value"` // such as "sha256:…" or "domain:…"; no personal data
	Subjects   []string  `json:"subjects"`
	Source     string    `json:"source"`
	By         string    `json:"by"`
	RecordedAt time.Time `json:"recorded_at"`
	Version    int64     `json:"version"` // of the room's state that wrote it
}

// Record makes an indicator, or says what it lacks.
func Record(now time.Time, i Indicator) (Indicator, error) {
	if i.Value == "" || i.Source == "" {
		return Indicator{}, fmt.Errorf("indicator %q: a value and a source are needed", i.ID)
	}
	if len(i.Subjects) == 0 {
		return Indicator{}, fmt.Errorf("indicator %q names no environment and no component", i.ID)
	}
	i.Subjects, i.RecordedAt = slices.Clone(i.Subjects), db.Trim(now)
	return i, nil
}

// Row is the indicator as the ledger keeps it.
func (i Indicator) Row() ledger.Row { return ledger.Row{Table: "indicator", Key: i.ID, Value: i} }

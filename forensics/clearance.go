package forensics

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Check is how cleanness was established (continuity R32). There is no kind
// for "green without examination".
type Check string

// The kinds of checks.
const (
	Rebuilt   Check = "rebuilt"   // set up anew from known good sources
	Cleaned   Check = "cleaned"   // examined and cleaned
	Untouched Check = "untouched" // proven not to have been reached
)

// State is where a clearance stands.
type State string

// The states of a clearance.
const (
	Granted State = "granted"
	Warned  State = "expired-warned" // ran out, people were warned; what rests on it goes on
	Revoked State = "revoked"
)

// Clearance is the revocable, evidence-bound statement that a scope is clean.
type Clearance struct {
	ID         string     `json:"id"`
	Scope      Scope      `json:"scope"`
	Covers     []string   `json:"covers,omitempty"` // environments and components that rest on a backup or realm
	Check      Check      `json:"check"`
	Evidence   []Evidence `json:"evidence"`
	Examiner   string     `json:"examiner"`
	Second     string     `json:"second"`
	From       time.Time  `json:"from"`
	Until      time.Time  `json:"until"`
	Conditions string     `json:"conditions,omitempty"`
	State      State      `json:"state"`
	GrantedAt  time.Time  `json:"granted_at"`
	RevokedAt  time.Time  `json:"revoked_at,omitzero"`
	RevokedBy  string     `json:"revoked_by,omitempty"`
	Reason     string     `json:"reason,omitempty"` // of the revocation
	Version    int64      `json:"version"`          // of the room's state that wrote it last
}

// Application is what is asked for when a clearance is to be granted.
type Application struct {
	Scope      Scope      `json:"scope"`
	Covers     []string   `json:"covers,omitempty"`
	Check      Check      `json:"check"`
	Evidence   []Evidence `json:"evidence"`
	From       time.Time  `json:"from,omitzero"` // zero: now
	Until      time.Time  `json:"until"`
	Conditions string     `json:"conditions,omitempty"`
}

// Errors a caller decides on.
var (
	ErrSamePerson = errors.New("the examiner and the second signer must be two people")
	ErrRevoked    = errors.New("the clearance is revoked already")
)

// Grant makes a clearance of an application, or says what it lacks.
func Grant(now time.Time, id string, a Application, examiner, second string) (Clearance, error) {
	if err := a.Scope.check(); err != nil {
		return Clearance{}, err
	}
	if err := a.Scope.checkCovers(a.Covers); err != nil {
		return Clearance{}, fmt.Errorf("clearance for %s: %w", a.Scope, err)
	}
	if err := checkEvidence(a.Evidence); err != nil {
		return Clearance{}, fmt.Errorf("clearance for %s: %w", a.Scope, err)
	}
	if examiner == "" || second == "" || examiner == second {
		return Clearance{}, fmt.Errorf("clearance for %s: %w", a.Scope, ErrSamePerson)
	}
	switch a.Check {
	case Rebuilt, Cleaned, Untouched:
	default:
		return Clearance{}, fmt.Errorf("clearance for %s: check %q is none of rebuilt, cleaned, untouched", a.Scope, a.Check)
	}
	if a.From.IsZero() {
		a.From = now
	}
	if !a.Until.After(a.From) || !a.Until.After(now) {
		return Clearance{}, fmt.Errorf("clearance for %s: it must end after it begins, and in the future", a.Scope)
	}
	return Clearance{
		ID: id, Scope: a.Scope, Covers: slices.Clone(a.Covers), Check: a.Check, Evidence: slices.Clone(a.Evidence),
		Examiner: examiner, Second: second, From: db.Trim(a.From), Until: db.Trim(a.Until),
		Conditions: a.Conditions, State: Granted, GrantedAt: db.Trim(now),
	}, nil
}

// Revoke takes a clearance back, for good.
func (c Clearance) Revoke(now time.Time, by, reason string) (Clearance, error) {
	if c.State == Revoked {
		return c, fmt.Errorf("revoking %q: %w", c.ID, ErrRevoked)
	}
	if by == "" || reason == "" {
		return c, fmt.Errorf("revoking %q: a person and a reason are needed", c.ID)
	}
	c.State, c.RevokedAt, c.RevokedBy, c.Reason = Revoked, db.Trim(now), by, reason
	return c, nil
}

// Warn notes that a clearance has run out. It reports whether that is news.
func (c Clearance) Warn(now time.Time) (Clearance, bool) {
	if c.State != Granted || now.Before(c.Until) {
		return c, false
	}
	c.State = Warned
	return c, true
}

// Valid reports whether somebody may newly rely on the clearance.
func (c Clearance) Valid(now time.Time) bool {
	return c.State == Granted && !now.Before(c.From) && now.Before(c.Until)
}

// Subjects lists the environments and components whose cleanness it is about.
func (c Clearance) Subjects() []string { return c.Scope.covered(c.Covers) }

// Row is the clearance as the ledger keeps it.
func (c Clearance) Row() ledger.Row { return ledger.Row{Table: "clearance", Key: c.ID, Value: c} }

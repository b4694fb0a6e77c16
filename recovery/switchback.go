package recovery

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// Stage is how far the switch-back of a cell has come. The zero value is none.
type Stage string

// The stages, in their order. From each but the last two people may go back.
const (
	StageAnnounced Stage = "announced" // the window is told, nothing has changed
	StageReadOnly  Stage = "read_only" // emergency operation takes nothing more
	StageDrained   Stage = "drained"   // everything is handed over or rejected with an owner
	StageCompared  Stage = "compared"  // both sides' books say the same
	StageRegular   Stage = "regular"   // both sides signed: the regular system writes
	StageReturned  Stage = "returned"  // back to emergency operation, or called off
)

// Word is the stage as screens say it.
func (s Stage) Word() string {
	switch s {
	case StageAnnounced:
		return "angekündigt"
	case StageReadOnly:
		return "nur lesen"
	case StageDrained:
		return "übergeben"
	case StageCompared:
		return "abgeglichen"
	case StageRegular:
		return "Regelbetrieb"
	case StageReturned:
		return "zurück im Notbetrieb"
	}
	return string(s)
}

// Over reports whether nothing can follow.
func (s Stage) Over() bool { return s == StageRegular || s == StageReturned }

// Window is the announced span in which a cell switches back. Whoever uses the
// service is told beforehand.
type Window struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// longestWindow bounds what may be called a short outage.
const longestWindow = 24 * time.Hour

// Side is one of the two that sign.
type Side string

// The sides: who ran emergency operation, and the Kasse for its regular system.
const (
	EmergencySide Side = "emergency"
	RegularSide   Side = "regular"
)

// Signature is a person's word on the protocol as it stood: its digest.
type Signature struct {
	Side   Side      `json:"side"`
	Person string    `json:"person"`
	At     time.Time `json:"at"`
	Digest string    `json:"digest"`
}

// Compared is what the comparison of one placement's books brought.
type Compared struct {
	Placement   catalogue.PlacementID `json:"placement"`
	Agrees      bool                  `json:"agrees"`
	Ours        []emergency.Line      `json:"ours"`
	Theirs      []emergency.Line      `json:"theirs"`
	Receiver    string                `json:"receiver"`
	Head        string                `json:"head"`             // signed head of our journal's ledger
	Signed      string                `json:"signed,omitempty"` // SHA-256 of the receiver's signed comparison
	Differences int                   `json:"differences"`
	At          time.Time             `json:"at"`
}

// Counted is a journal's book of one placement at a point of the protocol.
type Counted struct {
	Placement  catalogue.PlacementID `json:"placement"`
	Accepted   int64                 `json:"accepted"`
	HandedOver int64                 `json:"handed_over"`
	Rejected   int64                 `json:"rejected"`
	Open       int64                 `json:"open"`
	Amount     int64                 `json:"amount"` // in cents
}

// Switchback is the protocol of one cell's way from emergency to regular
// operation. Its methods are the only transitions; they change a copy.
type Switchback struct {
	ID         string                  `json:"id"`
	Kasse      catalogue.KasseID       `json:"kasse"`
	Service    catalogue.ServiceID     `json:"service"`
	Placements []catalogue.PlacementID `json:"placements"`
	Stage      Stage                   `json:"stage"`
	Window     Window                  `json:"window"`
	Abort      string                  `json:"abort"` // when to go back, agreed beforehand
	Reason     string                  `json:"reason"`
	By         string                  `json:"by"`
	At         time.Time               `json:"at"`
	Before     []Counted               `json:"before,omitempty"` // when it became read-only
	After      []Counted               `json:"after,omitempty"`  // when it was drained
	Compared   []Compared              `json:"compared,omitempty"`
	Signatures []Signature             `json:"signatures,omitempty"`
	Times      map[Stage]time.Time     `json:"times"`
	Acceptance string                  `json:"acceptance,omitempty"` // that both sides sign with
	Paths      []string                `json:"paths,omitempty"`      // of limited operation
	Works      []string                `json:"works,omitempty"`
	WorksNot   []string                `json:"works_not,omitempty"`
	BackBy     string                  `json:"back_by,omitempty"`
	BackReason string                  `json:"back_reason,omitempty"`
	Warned     bool                    `json:"warned,omitempty"` // the end of the window was told
}

// Errors a caller decides on.
var (
	ErrStage  = errors.New("not possible at this stage of the switch-back")
	ErrWindow = errors.New("the window is not right")
)

// Announce makes the protocol of a cell.
func Announce(now time.Time, k catalogue.KasseID, d catalogue.ServiceID, places []catalogue.PlacementID, w Window, abort, reason, by string) (Switchback, error) {
	s := Switchback{
		ID: "rf-" + strings.ToLower(rand.Text()[:8]), Kasse: k, Service: d, Placements: slices.Sorted(slices.Values(places)), Stage: StageAnnounced,
		Window: Window{From: db.Trim(w.From), Until: db.Trim(w.Until)},
		Abort:  strings.TrimSpace(abort), Reason: strings.TrimSpace(reason), By: by, At: db.Trim(now),
		Times: map[Stage]time.Time{StageAnnounced: db.Trim(now)},
	}
	switch {
	case len(places) == 0:
		return s, fmt.Errorf("%s/%s: nothing of this cell is in emergency operation: %w", k, d, ErrStage)
	case s.Reason == "" || s.Abort == "":
		return s, fmt.Errorf("%s/%s: a reason, and the condition on which it is broken off, are needed", k, d)
	}
	return s, s.Window.check(now)
}

// onTheWay is how long an announcement may be under way from whoever said "now".
const onTheWay = time.Minute

func (w Window) check(now time.Time) error {
	switch {
	case w.From.Before(db.Trim(now).Add(-onTheWay)):
		return fmt.Errorf("it begins in the past (%s): %w", w.From.Format(time.RFC3339), ErrWindow)
	case !w.Until.After(w.From):
		return fmt.Errorf("it ends before it begins: %w", ErrWindow)
	case w.Until.Sub(w.From) > longestWindow:
		return fmt.Errorf("%s is longer than %s: %w", w.Until.Sub(w.From), longestWindow, ErrWindow)
	}
	return nil
}

func (s Switchback) at(act string, stages ...Stage) error {
	if slices.Contains(stages, s.Stage) {
		return nil
	}
	return fmt.Errorf("%s is %s: to %s it is %w", s.ID, s.Stage, act, ErrStage)
}

func (s Switchback) enter(now time.Time, to Stage) Switchback {
	times := make(map[Stage]time.Time, len(s.Times)+1)
	maps.Copy(times, s.Times)
	times[to] = db.Trim(now)
	s.Stage, s.Times = to, times
	return s
}

// Move announces another window: a later one, or a longer one while it runs.
// What is read-only keeps its beginning.
func (s Switchback) Move(now time.Time, w Window) (Switchback, error) {
	if err := s.at("move its window", StageAnnounced, StageReadOnly, StageDrained, StageCompared); err != nil {
		return s, err
	}
	if s.Stage != StageAnnounced {
		w.From = s.Window.From
		if !w.Until.After(now) || w.Until.Sub(now) > longestWindow {
			return s, fmt.Errorf("the new end %s is past or too far: %w", w.Until.Format(time.RFC3339), ErrWindow)
		}
	} else if err := w.check(now); err != nil {
		return s, err
	}
	s.Window, s.Warned = Window{From: db.Trim(w.From), Until: db.Trim(w.Until)}, false
	return s, nil
}

// BeginReadOnly ends intake: only within the announced window.
func (s Switchback) BeginReadOnly(now time.Time, books []Counted) (Switchback, error) {
	if err := s.at("make it read-only", StageAnnounced); err != nil {
		return s, err
	}
	if now.Before(s.Window.From) || !now.Before(s.Window.Until) {
		return s, fmt.Errorf("%s is announced for %s to %s, now it is %s: announce another window: %w", s.ID,
			s.Window.From.Format(time.RFC3339), s.Window.Until.Format(time.RFC3339), now.Format(time.RFC3339), ErrWindow)
	}
	s.Before = books
	return s.enter(now, StageReadOnly), nil
}

// Drain notes how far handing over has come. Nothing open makes it drained;
// what is taken up again, such as a rejected item, makes it read-only again.
func (s Switchback) Drain(now time.Time, books []Counted) (Switchback, error) {
	if err := s.at("drain", StageReadOnly, StageDrained, StageCompared); err != nil {
		return s, err
	}
	s.After = books
	open := slices.ContainsFunc(books, func(c Counted) bool { return c.Open > 0 })
	switch {
	case open || len(books) != len(s.Placements):
		s.Compared, s.Signatures = nil, nil
		if s.Stage != StageReadOnly {
			s = s.enter(now, StageReadOnly)
		}
	case s.Stage == StageReadOnly:
		s = s.enter(now, StageDrained)
	}
	return s, nil
}

// Compare notes what comparing both sides' books brought. Signatures on an
// earlier comparison fall away.
func (s Switchback) Compare(now time.Time, outcomes []Compared) (Switchback, error) {
	if err := s.at("compare", StageDrained, StageCompared); err != nil {
		return s, err
	}
	s.Compared, s.Signatures = outcomes, nil
	for _, p := range s.Placements {
		if !slices.ContainsFunc(outcomes, func(c Compared) bool { return c.Placement == p && c.Agrees }) {
			return s.enter(now, StageDrained), nil
		}
	}
	return s.enter(now, StageCompared), nil
}

// Statement is what both sides sign: everything but the signatures.
func (s Switchback) Statement() Switchback {
	s.Signatures, s.Warned = nil, false
	s.Times = map[Stage]time.Time{}
	return s
}

// Digest is the SHA-256 of the statement.
func (s Switchback) Digest() (string, error) {
	b, err := json.Marshal(s.Statement())
	if err != nil {
		return "", fmt.Errorf("encoding the protocol of %s: %w", s.ID, err)
	}
	sum := sha256.Sum256(append([]byte("leitstand switchback 1\x00"), b...))
	return hex.EncodeToString(sum[:]), nil
}

// Sign adds one side's signature. The second of two different people, one for
// each side, makes it regular.
func (s Switchback) Sign(now time.Time, side Side, person string) (Switchback, error) {
	if err := s.at("sign", StageCompared); err != nil {
		return s, err
	}
	for _, g := range s.Signatures {
		if g.Side == side || g.Person == person {
			return s, fmt.Errorf("%s is signed for the %s side by %q already: the other side signs next: %w", s.ID, g.Side, g.Person, ErrStage)
		}
	}
	d, err := s.Digest()
	if err != nil {
		return s, err
	}
	s.Signatures = append(slices.Clone(s.Signatures), Signature{Side: side, Person: person, At: db.Trim(now), Digest: d})
	if len(s.Signatures) == 2 {
		s = s.enter(now, StageRegular)
	}
	return s, nil
}

// Back returns to emergency operation, at any stage before both have signed.
func (s Switchback) Back(now time.Time, by, reason string) (Switchback, error) {
	if err := s.at("go back", StageAnnounced, StageReadOnly, StageDrained, StageCompared); err != nil {
		return s, err
	}
	if strings.TrimSpace(reason) == "" {
		return s, fmt.Errorf("going back from %s: a reason is needed", s.ID)
	}
	s.BackBy, s.BackReason, s.Signatures = by, strings.TrimSpace(reason), nil
	return s.enter(now, StageReturned), nil
}

// Overrun reports whether the window is over and nobody has decided yet.
func (s Switchback) Overrun(now time.Time) bool { return !s.Stage.Over() && now.After(s.Window.Until) }

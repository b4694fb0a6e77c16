package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
)

const (
	// clockFile keeps the last reading, so that a jump while nothing ran is seen.
	clockFile = "clock.json"
	// clockSubject is the subject of entries about this machine's clock.
	clockSubject = "clock"
	clockJumped  = "clock.jumped"
	clockRight   = "clock.confirmed"
	// clockSlack is how far the clock may be from what the time since the last
	// reading makes it: time services move it by far less between two readings.
	clockSlack = 2 * time.Second
	// clockApart is how long reading both clocks may take to count as one moment.
	clockApart = 100 * time.Millisecond
)

// Uptime is a second clock, which nobody sets: how long the machine has run since
// the start with this id, sleep included.
type Uptime func() (boot string, up time.Duration, err error)

// clockReading is both clocks at one moment.
type clockReading struct {
	Boot string        `json:"boot"`
	Up   time.Duration `json:"up"`
	At   time.Time     `json:"at"`
}

// jumped says how far the clock was set between two readings of one start of the
// machine; positive is forward.
func (c clockReading) jumped(next clockReading) time.Duration {
	if c.Boot == "" || c.Boot != next.Boot {
		return 0
	}
	off := next.At.Sub(c.At) - (next.Up - c.Up)
	if off.Abs() <= clockSlack {
		return 0
	}
	return off
}

// clockWatch notices that this machine's clock was set. Order is the ledger's, so
// nothing else follows from it than that people are told.
type clockWatch struct {
	mu   sync.Mutex
	up   Uptime // nil: a clock that is no machine's is not watched
	last clockReading
}

// ClockJump is one time that the clock was set, as the ledger holds it.
type ClockJump struct {
	Seq      int64     `json:"seq"`
	At       time.Time `json:"at"`       // what the clock showed afterwards
	Expected time.Time `json:"expected"` // what it would have shown
	Seconds  float64   `json:"seconds"`  // positive: forward
	Seen     string    `json:"seen"`     // running, start, or ledger: by what it was noticed
}

// read takes both clocks at one moment. Between two looks at the second clock the
// first one may have been set or the machine halted: then it looks again.
func (w *clockWatch) read(now func() time.Time) (clockReading, error) {
	for range 20 {
		boot, before, err := w.up()
		if err != nil {
			return clockReading{}, err
		}
		at := now()
		_, after, err := w.up()
		if err != nil {
			return clockReading{}, err
		}
		if after-before <= clockApart {
			return clockReading{Boot: boot, Up: before + (after-before)/2, At: at}, nil
		}
	}
	return clockReading{}, errors.New("this machine is too busy to compare its clocks")
}

// startClock compares the clock with what it was when this room was last open
// here, or with the newest entries.
func (r *Room) startClock(ctx context.Context) error {
	r.clock.up = r.opt.Uptime
	if r.clock.up == nil && !r.foreignClock {
		r.clock.up = uptime
	}
	if r.clock.up == nil {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(r.opt.Data, clockFile))
	if err == nil {
		err = json.Unmarshal(b, &r.clock.last)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.opt.Log.Warn("the clock cannot be compared with its last reading", slog.Any("error", err))
		r.clock.last = clockReading{}
	}
	jumped, err := r.lookAtClock(ctx, "start")
	if err != nil || jumped {
		return err
	}
	latest, err := ledger.Latest(ctx, r.Store)
	if err != nil {
		return err
	}
	if now := r.Now(); latest.Sub(now) > clockSlack {
		return r.noteJump(ctx, ClockJump{At: now, Expected: latest, Seconds: now.Sub(latest).Seconds(), Seen: "ledger"})
	}
	return nil
}

// lookAtClock notes a jump since the last look, before anything else enters the
// ledger under the new time. A machine that may not write only looks.
func (r *Room) lookAtClock(ctx context.Context, seen string) (jumped bool, err error) {
	w := &r.clock
	if w.up == nil {
		return false, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now, err := w.read(r.Now)
	if err != nil {
		r.opt.Log.Warn("the clock is not compared", slog.Any("error", err))
		return false, nil
	}
	off := w.last.jumped(now)
	if off != 0 {
		err := r.noteJump(ctx, ClockJump{At: now.At, Expected: now.At.Add(-off), Seconds: off.Seconds(), Seen: seen})
		if err != nil {
			return true, err // seen again at the next look
		}
	}
	w.last = now
	return off != 0, nil
}

func (r *Room) noteJump(ctx context.Context, j ClockJump) error {
	r.opt.Log.Error("the clock of this machine jumped; order stays the ledger's", slog.Float64("seconds", j.Seconds), slog.Time("now", j.At))
	err := r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: r.Now(), Actor: ledger.System, Kind: clockJumped, Subject: clockSubject,
			Data: map[string]any{"at": j.At, "expected": j.Expected, "seconds": j.Seconds, "seen": j.Seen, "node": nodeName()},
		})
		return err
	})
	if errors.Is(err, ErrFenced) {
		return nil // whoever may write sees its own clock
	}
	return err
}

// keepClock leaves the last reading for the next start. Without it a jump while
// nothing runs is seen by the ledger only.
func (r *Room) keepClock() {
	r.clock.mu.Lock()
	last := r.clock.last
	r.clock.mu.Unlock()
	if last.Boot == "" {
		return
	}
	b, err := json.Marshal(last)
	file := filepath.Join(r.opt.Data, clockFile)
	if err == nil {
		err = os.WriteFile(file+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		r.opt.Log.Warn("keeping the reading of the clock", slog.Any("error", err))
	}
}

// ClockStatus is how this machine's clock stands to the ledger.
type ClockStatus struct {
	Now     time.Time   `json:"now"`
	Latest  time.Time   `json:"latest,omitzero"` // highest time among the newest entries
	Behind  float64     `json:"behind_seconds"`  // how far the clock is behind that
	Watched bool        `json:"watched"`         // compared with a clock that nobody sets
	Jumps   []ClockJump `json:"jumps"`           // since somebody last said that the clock is right
	Right   time.Time   `json:"confirmed,omitzero"`
	By      string      `json:"confirmed_by,omitempty"`
}

func clockStatus(ctx context.Context, r *Room, _ none) (ClockStatus, error) {
	s := ClockStatus{Now: r.Now(), Watched: r.clock.up != nil, Jumps: []ClockJump{}}
	var err error
	if s.Latest, err = ledger.Latest(ctx, r.Store); err != nil {
		return s, err
	}
	s.Behind = max(0, s.Latest.Sub(s.Now)).Seconds()
	last, err := ledger.About(ctx, r.Store, clockSubject, 100)
	if err != nil {
		return s, err
	}
	for _, e := range last {
		if e.Kind == clockRight {
			s.Right, s.By = e.At, e.Actor
			break
		}
		var j ClockJump
		if err := json.Unmarshal(e.Data, &j); err != nil {
			return s, fmt.Errorf("reading entry %d about the clock: %w", e.Seq, err)
		}
		j.Seq = e.Seq
		s.Jumps = append(s.Jumps, j)
	}
	return s, nil
}

// ClockJumps are the jumps that nobody has dealt with, newest first.
func (r *Room) ClockJumps(ctx context.Context) ([]ClockJump, error) {
	s, err := clockStatus(ctx, r, none{})
	return s.Jumps, err
}

type reasonArgs struct {
	Reason string `json:"reason"`
}

// confirmClock records that a person has compared the clock with another one.
func confirmClock(ctx context.Context, r *Room, as access.Person, a reasonArgs) (ClockStatus, error) {
	if err := mayKeep(as); err != nil {
		return ClockStatus{}, err
	}
	if strings.TrimSpace(a.Reason) == "" {
		return ClockStatus{}, errors.New("say what the clock was compared with: a reason is needed")
	}
	s, err := clockStatus(ctx, r, none{})
	if err != nil {
		return s, err
	}
	if len(s.Jumps) == 0 {
		return s, errors.New("the clock has not jumped since it was last confirmed: there is nothing to confirm")
	}
	err = r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: r.Now(), Actor: as.ID, Kind: clockRight, Subject: clockSubject, Reason: a.Reason, Data: map[string]int{"jumps": len(s.Jumps)},
		})
		return err
	})
	if err != nil {
		return s, err
	}
	return clockStatus(ctx, r, none{})
}

// lookClock says whether the clock was set, and whether it is behind the newest
// entries: time never runs backwards.
func (r *Room) lookClock(ctx context.Context, c *Checkup) error {
	s, err := clockStatus(ctx, r, none{})
	if err != nil {
		return err
	}
	back := s.Latest.Sub(c.At)
	c.add("Uhr", grade(back > time.Minute, back > 0), "Uhr des Rechners stellen; die Reihenfolge bleibt die des Buchs.",
		"letzter Eintrag %s, jetzt %s", when(s.Latest), when(c.At))
	if len(s.Jumps) == 0 {
		c.add("Uhrensprünge", Good, "", "%s", map[bool]string{true: "keine offen", false: "werden hier nicht beobachtet"}[s.Watched])
		return nil
	}
	j := s.Jumps[0]
	far := time.Duration(j.Seconds * float64(time.Second)).Abs()
	c.add("Uhrensprünge", grade(far > time.Minute, true), "Uhr mit einer zweiten vergleichen (Funkuhr, Telefon), stellen, Fristen prüfen, dann: leitstand clock confirm --reason … --as PERSON",
		"%d offen, zuletzt %s (Eintrag %d)", len(s.Jumps), j.Words(), j.Seq)
	return nil
}

// Words says how far the clock jumped, in German.
func (j ClockJump) Words() string {
	way := "vor"
	if j.Seconds < 0 {
		way = "zurück"
	}
	return fmt.Sprintf("um %s %s, auf %s", time.Duration(j.Seconds*float64(time.Second)).Abs().Round(time.Second), way, when(j.At))
}

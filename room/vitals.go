package room

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/operation"
	"leitstand/warning"
)

// Vitals is how the room itself does: cheap enough to be asked every few seconds,
// without names, reasons or anything else that only people in the room may know.
type Vitals struct {
	At       time.Time `json:"at"`
	Ready    bool      `json:"ready"`              // takes acts and keeps them
	Problems []string  `json:"problems,omitempty"` // why it is not ready, in words

	Exercise    bool           `json:"exercise"`
	Unlocked    bool           `json:"unlocked"`
	DiskFree    uint64         `json:"disk_free_bytes"`
	DiskSize    uint64         `json:"disk_size_bytes"`
	DataSize    int64          `json:"data_bytes"`
	WriteTook   time.Duration  `json:"write_took"`        // of a small file, synced
	DueAge      time.Duration  `json:"due_age"`           // since timed work last went well
	LedgerSize  int64          `json:"ledger_entries"`    // of the room's ledger
	LedgerAge   time.Duration  `json:"ledger_age"`        // since its newest entry
	Signals     int            `json:"signals_open"`      // not decided
	Escalated   int            `json:"signals_escalated"` // of them past their deadline
	Consents    int            `json:"consents_open"`
	Cells       map[string]int `json:"placements"` // by regular state
	Emergency   int            `json:"placements_in_emergency"`
	Accepted    int64          `json:"items_accepted"` // in emergency operation
	Open        int64          `json:"items_open"`     // not handed over yet
	Mailboxes   int            `json:"mailboxes"`
	MailFailing int            `json:"mailboxes_failing"`
	BackupAge   time.Duration  `json:"backup_age"` // 0: none yet
	CopyBehind  bool           `json:"copy_behind"`
	ClockJumps  int            `json:"clock_jumps"` // nobody has dealt with
}

// pulse is what the room's loops leave behind for Vitals.
type pulse struct {
	mu     sync.Mutex
	opened time.Time
	due    time.Time // timed work last went well
	err    error     // of the last timed work
}

// beat keeps how timed work went.
func (p *pulse) beat(now time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err = err; err == nil {
		p.due = now
	}
}

func (p *pulse) age(now time.Time) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.due
	if last.IsZero() {
		last = p.opened
	}
	return now.Sub(last), p.err
}

// dueLate is how long timed work may be silent: three rounds.
const dueLate = 3*time.Minute + 30*time.Second

// Vitals looks at the room. It never fails: what cannot be looked at is a problem.
func (r *Room) Vitals(ctx context.Context) Vitals {
	v := Vitals{At: r.Now(), Exercise: r.Settings.Exercise, Unlocked: !r.Journals.Locked()}
	problem := func(err error) {
		if err != nil {
			v.Problems = append(v.Problems, err.Error())
		}
	}
	problem(r.fence.err())
	problem(r.diskVitals(&v))
	took, err := tryWrite(r.opt.Data)
	v.WriteTook = took
	problem(err)
	var dueErr error
	if v.DueAge, dueErr = r.pulse.age(v.At); v.DueAge > dueLate {
		problem(fmt.Errorf("timed work has not gone well for %s: %w", v.DueAge.Round(time.Second), errors.Join(errStalled, dueErr)))
	}
	problem(r.ledgerVitals(ctx, &v))
	problem(r.workVitals(ctx, &v))
	v.Ready = len(v.Problems) == 0
	return v
}

var errStalled = errors.New("restart the room if it does not recover; nothing acknowledged is lost by that")

func (r *Room) diskVitals(v *Vitals) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(r.opt.Data, &s); err != nil {
		return fmt.Errorf("looking at the disk: %w", err)
	}
	v.DiskFree, v.DiskSize = s.Bavail*uint64(s.Bsize), s.Blocks*uint64(s.Bsize)
	var err error
	v.DataSize, err = sizeOf(r.opt.Data)
	return err
}

// sizeOf is the size of all files below a directory. Files that vanish meanwhile
// do not count.
func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size, err
}

// tryWrite finds out whether the disk takes something and keeps it: a full or
// read-only disk is seen before somebody's act fails.
func tryWrite(dir string) (time.Duration, error) {
	began := time.Now() // how long it takes is no time of the room
	file := filepath.Join(dir, "pulse")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(make([]byte, 64<<10))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	_ = os.Remove(file) // it may never have been made
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return 0, fmt.Errorf("the disk is full: make room, then it goes on by itself; nothing acknowledged is lost, mail stays on its servers (%w)", err)
	case errors.Is(err, syscall.EROFS):
		return 0, fmt.Errorf("the disk is read-only, often after an error: look at its health, mount it again or restore to another one (%w)", err)
	case err != nil:
		return 0, fmt.Errorf("the data directory cannot be written: %w", err)
	}
	return time.Since(began), nil
}

func (r *Room) ledgerVitals(ctx context.Context, v *Vitals) error {
	h, ok, err := ledger.Newest(ctx, r.Store, r.Public())
	if err != nil || !ok {
		return err
	}
	v.LedgerSize = h.Size
	last, err := ledger.Read(ctx, r.Store, h.Size-1, 1)
	if err == nil && len(last) > 0 {
		v.LedgerAge = max(0, v.At.Sub(last[0].At))
	}
	return err
}

func (r *Room) workVitals(ctx context.Context, v *Vitals) error {
	signals, err := warning.List(ctx, r.Store)
	if err != nil {
		return err
	}
	for _, s := range signals {
		if s.State == warning.Open {
			v.Signals++
			if s.Escalated > 0 {
				v.Escalated++
			}
		}
	}
	open, err := access.Open(ctx, r.Store)
	if err != nil {
		return err
	}
	v.Consents, v.Cells = len(open), map[string]int{}
	for _, p := range r.Operation.Current().Placements() {
		v.Cells[p.Regular.String()]++
		if p.Emergency == operation.Active {
			v.Emergency++
		}
		v.Accepted += p.Journal.Accepted
		v.Open += p.Journal.Open
	}
	if backup, ok, err := r.lastAbout(ctx, "backup"); err != nil {
		return err
	} else if ok {
		v.BackupAge = max(time.Second, v.At.Sub(backup.At))
	}
	if r.Intake != nil {
		for _, b := range r.Intake.Boxes() {
			v.Mailboxes++
			if b.Failures > 0 {
				v.MailFailing++
			}
		}
	}
	jumps, err := r.ClockJumps(ctx)
	if err != nil {
		return err
	}
	v.ClockJumps = len(jumps)
	copied, err := copyStatus(ctx, r, none{})
	v.CopyBehind = copied.Error != ""
	return err
}

package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// growthFile keeps how large the data directory was: a note of this machine, no
// part of the record.
const growthFile = "growth.json"

const (
	growthEvery = time.Hour
	growthKept  = 14 * 24 // two weeks
	growthLeast = 6 * time.Hour
)

type growthSample struct {
	At   time.Time `json:"at"`
	Size int64     `json:"size"`
}

func (r *Room) growth() ([]growthSample, error) {
	b, err := os.ReadFile(filepath.Join(r.opt.Data, growthFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading how the data grew: %w", err)
	}
	var out []growthSample
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, nil //nolint:nilerr // a torn note is worth nothing and begins anew
	}
	return out, nil
}

// sampleGrowth notes the size once an hour.
func (r *Room) sampleGrowth(now time.Time) error {
	all, err := r.growth()
	if err != nil {
		return err
	}
	if n := len(all); n > 0 && now.Sub(all[n-1].At) < growthEvery && !all[n-1].At.After(now) {
		return nil
	}
	size, err := sizeOf(r.opt.Data)
	if err != nil {
		return err
	}
	all = append(all, growthSample{now, size})
	b, err := json.Marshal(all[max(0, len(all)-growthKept):])
	if err != nil {
		return fmt.Errorf("encoding how the data grew: %w", err)
	}
	return replaceFile(filepath.Join(r.opt.Data, growthFile), b)
}

// lookGrowth says when the disk is full if the data goes on growing as it did.
func (r *Room) lookGrowth(_ context.Context, c *Checkup) error {
	all, err := r.growth()
	if err != nil {
		return err
	}
	size, err := sizeOf(r.opt.Data)
	if err != nil {
		return err
	}
	if len(all) == 0 || c.At.Sub(all[0].At) < growthLeast {
		c.add("Wachstum", Good, "", "%s MB; für eine Vorhersage noch zu kurz beobachtet", comma(float64(size)/1e6))
		return nil
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(r.opt.Data, &s); err != nil {
		return fmt.Errorf("looking at the disk: %w", err)
	}
	perDay := float64(size-all[0].Size) / (c.At.Sub(all[0].At).Hours() / 24)
	if perDay < 1 {
		c.add("Wachstum", Good, "", "%s MB, wächst nicht", comma(float64(size)/1e6))
		return nil
	}
	days := float64(s.Bavail*uint64(s.Bsize)) / perDay
	limit := float64(r.opt.Limits.DiskDays)
	c.add("Wachstum", grade(days < limit/7, days < limit), "Platz schaffen, bevor er fehlt: Sicherungen auslagern oder größere Platte.",
		"%s MB, +%s MB am Tag: voll in %.0f Tagen", comma(float64(size)/1e6), comma(perDay/1e6), min(days, 9999))
	return nil
}

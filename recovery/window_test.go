package recovery_test

import (
	"errors"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/recovery"
)

func TestAWindowMayBeginNowButNotInThePast(t *testing.T) {
	now := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		from, until time.Duration
		err         error
	}{
		{0, time.Hour, nil},
		{-2 * time.Second, time.Hour, nil}, // "now", and on its way since
		{-5 * time.Minute, time.Hour, recovery.ErrWindow},
		{time.Hour, time.Hour, recovery.ErrWindow},
		{time.Hour, 1000 * time.Hour, recovery.ErrWindow},
	} {
		w := recovery.Window{From: now.Add(c.from), Until: now.Add(c.until)}
		_, err := recovery.Announce(now, "109900019", "eau", []catalogue.PlacementID{"109900019/eau/nord"}, w, "abbruch", "geprüft", "operator")
		if !errors.Is(err, c.err) {
			t.Errorf("from %v until %v: %v", c.from, c.until, err)
		}
	}
}

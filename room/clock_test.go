package room_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"leitstand/base/ledger"
	"leitstand/incident"
	"leitstand/room"
)

// twoClocks are a machine's clock, which somebody sets, and one that nobody sets.
type twoClocks struct {
	now  time.Time
	up   time.Duration
	boot string
}

func (c *twoClocks) pass(d time.Duration) { c.now, c.up = c.now.Add(d), c.up+d }

func (c *twoClocks) options() room.Options {
	return room.Options{Uptime: func() (string, time.Duration, error) { return c.boot, c.up, nil }}
}

func clock(t *testing.T, r *room.Room) room.ClockStatus {
	t.Helper()
	s, err := room.Do[room.ClockStatus](t.Context(), r, "", "clock.status", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAClockThatJumpsIsSeenBeforeTheNextActAndOrderStaysTheLedgers(t *testing.T) {
	c := &twoClocks{now: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC), boot: "one"}
	r := nightRoom(t, &c.now, c.options())
	i, err := room.Do[incident.Incident](t.Context(), r, "lead", "incident.declare", map[string]string{"title": "Probe"})
	if err != nil {
		t.Fatal(err)
	}
	note := func(text, corrects string) incident.Fact {
		t.Helper()
		f, err := room.Do[incident.Fact](t.Context(), r, "operator", "fact.note", incident.Fact{Incident: i.ID, Text: text, Source: "Probe", Corrects: corrects})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	c.pass(time.Hour) // asleep or idle: no jump
	wrong := note("falsch", "")
	if s := clock(t, r); len(s.Jumps) != 0 || !s.Watched {
		t.Fatalf("time that passed counts as a jump: %+v", s)
	}
	c.pass(time.Minute)
	c.now = c.now.Add(-2 * time.Hour) // somebody sets the clock back
	note("richtig", wrong.ID)
	s := clock(t, r)
	if len(s.Jumps) != 1 || s.Jumps[0].Seconds != -7200 || s.Jumps[0].Seen != "running" || s.Behind < 7000 {
		t.Fatalf("set back by two hours: %+v", s)
	}
	facts, err := room.Do[[]incident.Fact](t.Context(), r, "", "fact.list", map[string]string{"id": i.ID})
	if err != nil || len(facts) != 2 || facts[0].ID != wrong.ID || facts[1].Corrects != wrong.ID {
		t.Errorf("the correction does not follow what it corrects: %+v %v", facts, err)
	}
	entries, err := room.Do[[]room.EntryView](t.Context(), r, "", "ledger.entries", map[string]int{"limit": 2})
	if err != nil || len(entries) != 2 || entries[0].Kind != "clock.jumped" || !entries[0].Back || entries[1].Kind != "fact.noted" || entries[1].Back {
		t.Errorf("%+v %v: the jump is to stand before the first entry under the new time", entries, err)
	}
	found := findings(t, r, false)
	if found["Uhr"].Health != room.Bad || found["Uhrensprünge"].Health != room.Bad || r.Vitals(t.Context()).ClockJumps != 1 {
		t.Errorf("the doctor says %+v, %+v", found["Uhr"], found["Uhrensprünge"])
	}
	c.pass(time.Minute)
	c.now = c.now.Add(2 * time.Hour) // and right again
	if _, err := r.Due(t.Context(), c.now); err != nil {
		t.Fatal(err)
	}
	if s := clock(t, r); len(s.Jumps) != 2 || s.Jumps[0].Seconds != 7200 || s.Behind != 0 {
		t.Fatalf("set forward again: %+v", s)
	}
	if _, err := room.Do[room.ClockStatus](t.Context(), r, "lead", "clock.confirm", map[string]string{"reason": " "}); err == nil {
		t.Error("confirmed without a word on how")
	}
	after, err := room.Do[room.ClockStatus](t.Context(), r, "lead", "clock.confirm", map[string]string{"reason": "Funkuhr"})
	if err != nil || len(after.Jumps) != 0 || after.By != "lead" {
		t.Errorf("%+v %v", after, err)
	}
	if found := findings(t, r, false); found["Uhrensprünge"].Health != room.Good {
		t.Errorf("%+v", found["Uhrensprünge"])
	}
	verifyAll(t, r)
}

func TestAClockThatWasSetWhileNothingRanIsSeenAtTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		boot string
		set  time.Duration
		seen string
	}{
		"forward in the same run of the machine": {"one", time.Hour, "start"},
		"back in the same run of the machine":    {"one", -time.Hour, "start"},
		"back over a start of the machine":       {"two", -time.Hour, "ledger"},
		"nothing over a start of the machine":    {"two", time.Minute, ""},
		"nothing at all":                         {"one", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := &twoClocks{now: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC), boot: "one"}
			r := nightRoom(t, &w.now, w.options())
			data := filepath.Dir(clockFileOf(t, r))
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			w.pass(10 * time.Minute)
			w.boot, w.now = c.boot, w.now.Add(c.set)
			opt := w.options()
			opt.Data, opt.Clock = data, func() time.Time { return w.now }
			r, err := room.Open(t.Context(), opt)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			s := clock(t, r)
			if got := len(s.Jumps); (got == 1) != (c.seen != "") || got == 1 && s.Jumps[0].Seen != c.seen {
				t.Errorf("%+v, want one seen by %q", s.Jumps, c.seen)
			}
		})
	}
}

// clockFileOf takes a reading and says where it is kept.
func clockFileOf(t *testing.T, r *room.Room) string {
	t.Helper()
	if _, err := r.Due(t.Context(), r.Now()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.Data(), "clock.json")
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAWrongEntryIsCorrectedByNameAndStaysVisible(t *testing.T) {
	r, _ := practiceRoom(t)
	if _, err := room.Do[incident.Incident](t.Context(), r, "operator", "incident.declare", map[string]string{"title": "Probe"}); err != nil {
		t.Fatal(err)
	}
	newest := func() room.EntryView {
		t.Helper()
		all, err := room.Do[[]room.EntryView](t.Context(), r, "", "ledger.entries", map[string]int{"limit": 1})
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v %v", all, err)
		}
		return all[0]
	}
	wrong := newest()
	correct := func(as, right, reason string, of int64) error {
		_, err := room.Do[ledger.Correction](t.Context(), r, as, "entry.correct", map[string]any{"entry": of, "right": right, "reason": reason})
		return err
	}
	for name, err := range map[string]error{
		"by somebody else":         correct("press", "anders", "Irrtum", wrong.Seq),
		"without a reason":         correct("operator", "anders", " ", wrong.Seq),
		"without what is right":    correct("operator", "", "Irrtum", wrong.Seq),
		"of nothing":               correct("operator", "anders", "Irrtum", wrong.Seq+100),
		"of less than nothing":     correct("operator", "anders", "Irrtum", -1),
		"naming an insured person": correct("operator", "es ging um A123456789", "Irrtum", wrong.Seq),
		"giving one as reason":     correct("operator", "anders", "A123456789 rief an", wrong.Seq),
	} {
		if err == nil {
			t.Errorf("corrected %s", name)
		}
	}
	if got := newest(); got.Seq != wrong.Seq {
		t.Errorf("a refused correction left entry %d", got.Seq)
	}
	if err := correct("operator", "Titel: Störung in Nord", "verlesen", wrong.Seq); err != nil {
		t.Error(err)
	}
	if err := correct("lead", "Titel: Störung in Süd", "nachgefragt", wrong.Seq); err != nil {
		t.Errorf("the lead: %v", err)
	}
	all, err := r.Entries(t.Context(), wrong.Seq-1, 1)
	if err != nil || len(all) != 1 || string(all[0].Data) != string(wrong.Data) || len(all[0].Corrections) != 2 {
		t.Fatalf("%+v %v", all, err)
	}
	if k := all[0].Corrections; k[0].Actor != "operator" || k[1].Right != "Titel: Störung in Süd" || k[1].Seq != k[0].Seq+1 {
		t.Errorf("%+v", k)
	}
	verifyAll(t, r)
}

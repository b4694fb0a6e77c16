package room_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/room"
)

// fill accepts items of a size for one Kasse.
// eightyKassen is the case of 2023 with invented Kassen added until there are as
// many as were hit.
func eightyKassen() *catalogue.Catalogue {
	c := catalogue.Case2023(1)
	for n := 1; len(c.Kassen) < 80; n++ {
		for digit := range 10 {
			if id := fmt.Sprintf("1099%04d%d", 1000+n, digit); catalogue.ValidIK(id) {
				c.Kassen = append(c.Kassen, catalogue.Kasse{
					ID: catalogue.KasseID(id), Name: fmt.Sprintf("Übungskasse %d", n), Kind: "BKK", Insured: 10_000, InsuredAssumed: true,
					LegalSupervisor: "BAS", DataSupervisor: "BfDI", SupervisorsAssumed: true, Note: "Erfunden, für die Messung.",
				})
			}
		}
	}
	return c.Normal()
}

func fill(t *testing.T, r *room.Room, k catalogue.KasseID, items, size int) {
	t.Helper()
	j, err := r.Journals.Open(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	p := catalogue.PlacementID(string(k) + "/probe/x")
	if err := j.OpenBook(t.Context(), p, 1, time.Now(), "operator"); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, size)
	for n := 0; n < items; {
		drafts := make([]emergency.Draft, 0, 100)
		for ; n < items && len(drafts) < 100; n++ {
			drafts = append(drafts, emergency.Draft{
				Key: strconv.Itoa(n), Kind: emergency.KindPaper, Source: "probe", Received: time.Now(), Media: "text/plain", Body: body,
			})
		}
		if _, err := j.Accept(t.Context(), p, 1, time.Now(), "operator", drafts...); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLongBackupOfOneGigabyte measures copying and restoring one Kasse and many
// with 1 GB of items in all. The figures in docs/takeover.md come from here.
func TestLongBackupOfOneGigabyte(t *testing.T) {
	if os.Getenv("LEITSTAND_LONG") == "" {
		t.Skip("LEITSTAND_LONG is not set: a gigabyte is left out")
	}
	r, opt := practiceRoomOf(t, eightyKassen(), room.Options{})
	kassen, err := r.Journals.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const total, body = 1 << 30, 20 << 10
	each := total / body / len(kassen)
	began := time.Now()
	for _, k := range kassen {
		fill(t, r, k, each, body)
	}
	t.Logf("%d Kassen with %d items of %d bytes each, written in %v", len(kassen), each, body, time.Since(began).Round(time.Millisecond))
	one := filepath.Join(t.TempDir(), "one")
	timed(t, "backup of one Kasse", one, func() error {
		_, err := room.Do[room.Manifest](t.Context(), r, "operator", "backup", map[string]string{"to": one, "kasse": string(kassen[0])})
		return err
	})
	all := filepath.Join(t.TempDir(), "all")
	timed(t, "backup of all", all, func() error {
		_, err := room.Do[room.Manifest](t.Context(), r, "operator", "backup", map[string]string{"to": all})
		return err
	})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	opt.CopyTo = filepath.Join(t.TempDir(), "second")
	if err := room.PreparePlace(opt.Data, opt.CopyTo); err != nil {
		t.Fatal(err)
	}
	r, stop := copying(t, opt)
	timed(t, "continuous copy, first cycle", opt.CopyTo, func() error { waitForCopy(t, r); return nil })
	fill(t, r, kassen[1], 100, body)
	timed(t, "continuous copy, after 100 more items", "", func() error { waitForCopy(t, r); return nil })
	stop()
	timed(t, "one Kasse restored, room opened and every ledger verified", "", func() error {
		_, _, err := room.RestoreKasse(t.Context(), one, kassen[0], opt)
		return err
	})
	for name, from := range map[string]string{"all restored from the backup and verified": all, "taken over from the continuous copy and verified": opt.CopyTo} {
		to := room.Options{Data: filepath.Join(t.TempDir(), "restored")}
		timed(t, name, "", func() error {
			if from == all {
				_, _, err := room.Restore(t.Context(), from, to)
				return err
			}
			_, err := room.TakeOver(t.Context(), room.TakeOverArgs{From: from, First: "operator", Second: "lead", Reason: "Messung"}, to)
			return err
		})
	}
}

func timed(t *testing.T, what, dir string, fn func() error) {
	t.Helper()
	began := time.Now()
	if err := fn(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	took := time.Since(began)
	var size int64
	if dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				size += info.Size()
			}
		}
	}
	line := fmt.Sprintf("%s: %v", what, took.Round(time.Millisecond))
	if size > 0 {
		line += fmt.Sprintf(", %.1f MB", float64(size)/1e6)
	}
	t.Log(line)
}

package room_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency/sicknote"
	"leitstand/room"
	"leitstand/warning"
)

type everythingClosed struct{}

func (everythingClosed) Isolate(context.Context, []catalogue.PlacementID, []catalogue.ComponentID) error {
	return nil
}
func (everythingClosed) Connect(context.Context, []catalogue.PlacementID) error { return nil }
func (everythingClosed) Closed(context.Context, catalogue.PlacementID) (bool, string, error) {
	return true, "probe-1", nil
}

// heldRoom is a room whose first Kasse holds one mail that is no sick note.
func heldRoom(t *testing.T) (r *room.Room, k catalogue.KasseID, now *atomic.Int64) {
	t.Helper()
	cat := catalogue.Example(1)
	var ids []catalogue.KasseID
	for _, k := range cat.Kassen {
		ids = append(ids, k.ID)
	}
	now = &atomic.Int64{}
	now.Store(time.Date(2026, 4, 13, 8, 0, 0, 0, time.UTC).UnixMicro())
	opt := room.Options{Data: filepath.Join(t.TempDir(), "room"), Clock: func() time.Time { return db.Time(now.Load()) }}
	r, err := room.Init(t.Context(), opt, room.Setup{Name: "Test", Exercise: true, Catalogue: cat, People: room.PracticePeople(ids...), Owner: "operator"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	at := slices.IndexFunc(cat.Placements, func(p catalogue.Placement) bool { return p.Service == "eau" })
	p := cat.Placements[at]
	if err := r.Connect(room.Connections{Mailboxes: []room.MailboxConfig{{
		Kasse: p.Kasse, Placement: p.ID, Address: "eau@kasse.kim.example", POP3: "127.0.0.1:1", Security: sicknote.PlainText, User: "u", Password: "p",
	}}}, everythingClosed{}); err != nil {
		t.Fatal(err)
	}
	order, err := room.Do[room.Ordered](t.Context(), r, "operator", "measure.order", containment.Plan{
		Title: "eAU", Stage: 1, Reason: "Verdacht", Emergency: []catalogue.ServiceID{"eau"},
		Selection: containment.Selection{Kassen: []catalogue.KasseID{p.Kasse}, Services: []catalogue.ServiceID{"eau"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := room.Do[room.Outcome](t.Context(), r, "lead", "approve", map[string]string{"id": order.Consent.ID}); err != nil {
		t.Fatal(err)
	}
	if err := r.Isolate(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.eml")
	if err := os.WriteFile(file, []byte("Subject: Rundschreiben\r\n\r\nx\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := room.Do[sicknote.Imported](t.Context(), r, "operator", "sicknote.import", map[string]any{"kasse": p.Kasse, "path": file}); err != nil {
		t.Fatal(err)
	}
	return r, p.Kasse, now
}

// runMail lets the room look after its mail until a held mail is marked as escalated.
func runMail(t *testing.T, r *room.Room, k catalogue.KasseID) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.RunMail(ctx); err != nil {
			t.Error(err)
		}
	}()
	defer func() {
		stop()
		<-done
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		held, err := room.Do[[]sicknote.Mail](t.Context(), r, "", "sicknote.list", map[string]any{"kasse": k, "class": sicknote.ClassHeld})
		if err != nil {
			t.Fatal(err)
		}
		if len(held) == 1 && slices.Contains(held[0].Flags, sicknote.FlagEscalated) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not escalated: %+v", held)
		}
	}
}

func TestAHeldMailIsEscalatedWithOneSignalWhateverIsCutOff(t *testing.T) {
	r, k, now := heldRoom(t)
	signals := func() (found []warning.Signal) {
		t.Helper()
		all, err := warning.List(t.Context(), r.Store)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Rule == "sicknote.held" {
				found = append(found, s)
			}
		}
		return found
	}
	now.Add((24 * time.Hour).Microseconds())
	if len(signals()) != 0 {
		t.Error("a signal before the deadline is near")
	}
	now.Add((13 * time.Hour).Microseconds())
	runMail(t, r, k)
	if s := signals(); len(s) != 1 || s[0].Count != 1 || s[0].Kasse != k || s[0].Owner == "" {
		t.Errorf("%+v", s)
	}

	// As a crash between signal and mark leaves it: the mark comes, no second signal.
	j, err := r.Journals.Open(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `update sicknote_mail set flags = ''`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	runMail(t, r, k)
	if s := signals(); len(s) != 1 || s[0].Count != 1 {
		t.Errorf("after a crash: %+v", s)
	}
}

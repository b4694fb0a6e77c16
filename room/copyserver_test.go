package room_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/access"
	"leitstand/base/db/dbtest"
	"leitstand/catalogue"
	"leitstand/room"
)

// onServer makes a practice room of one Kasse in PostgreSQL with a second place, closed.
func onServer(t *testing.T) (opt room.Options, k catalogue.KasseID) {
	t.Helper()
	opt = room.Options{Data: filepath.Join(t.TempDir(), "room"), Database: dbtest.URL(t)}
	cat := small()
	k = cat.Kassen[0].ID
	r, err := room.Init(t.Context(), opt, room.Setup{
		Name: "Server", Exercise: true, Catalogue: cat, People: room.PracticePeople(k), Owner: "operator",
	})
	if err != nil {
		t.Fatal(err)
	}
	prefix := placeOf(t, opt.Data)
	t.Cleanup(func() { dbtest.Drop(t, opt.Database, prefix) })
	opt.CopyTo = filepath.Join(t.TempDir(), "second")
	if err := errors.Join(r.Close(), room.PreparePlace(opt.Data, opt.CopyTo)); err != nil {
		t.Fatal(err)
	}
	return opt, k
}

// copyFinding is what the doctor says of the continuous copy.
func copyFinding(t *testing.T, r *room.Room) room.Finding {
	t.Helper()
	for _, f := range do[room.Checkup](t, r, "", "doctor", nil).Findings {
		if f.Name == "Laufende Kopie" {
			return f
		}
	}
	t.Fatal("the doctor says nothing of the continuous copy")
	return room.Finding{}
}

// TestARoomInPostgreSQLIsCopiedAllTheTimeAndTakenOverByALaptop is the same as for a
// room in files: form of the copy, fence, findings; and nothing is left in clear.
func TestARoomInPostgreSQLIsCopiedAllTheTimeAndTakenOverByALaptop(t *testing.T) {
	opt, k := onServer(t)
	lease, err := room.Lead(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lease.Close() }()
	opt.Guard = lease.Guard
	first, stop := copying(t, opt)
	fill(t, first, k, 2, 100)
	for _, title := range []string{"eins", "zwei"} {
		if err := declare(t, first, title); err != nil {
			t.Fatal(err)
		}
		waitForCopy(t, first)
	}
	if f := copyFinding(t, first); f.Health != room.Good {
		t.Errorf("the doctor says %+v", f)
	}
	segments, err := filepath.Glob(filepath.Join(opt.CopyTo, "room-*.pages"))
	if err != nil || len(segments) < 2 {
		t.Errorf("%d segments of the room's store (%v): only what changed is copied", len(segments), err)
	}
	second := room.Options{Data: filepath.Join(t.TempDir(), "laptop")}
	taken, err := room.TakeOver(t.Context(), room.TakeOverArgs{From: opt.CopyTo, First: "operator", Second: "lead", Reason: "Probe"}, second)
	if err != nil || !taken.Fenced || taken.Generation != 2 || len(taken.Ledgers) != 2 {
		t.Fatalf("%+v: %v", taken, err)
	}
	refused := untilFenced(t, first)
	if !strings.Contains(refused.Error(), "Generation 2") {
		t.Errorf("refused with %v", refused)
	}
	if err := bookOpen(t, first, k, 99); !errors.Is(err, room.ErrFenced) {
		t.Errorf("the journal of a Kasse still takes writes: %v", err)
	}
	stop()
	if left, err := os.ReadDir(filepath.Join(opt.Data, "following")); err == nil && len(left) > 0 {
		t.Errorf("left in the data directory: %v", left)
	}
	second.CopyTo = opt.CopyTo
	r2, _ := copying(t, second)
	if got := titles(t, r2); !strings.Contains(got, "eins") || !strings.Contains(got, "zwei") {
		t.Errorf("the laptop knows %q", got)
	}
	if c := counts(t, r2, k); c.Taken != 2 {
		t.Errorf("items on the laptop: %+v", c)
	}
	if err := declare(t, r2, "drei"); err != nil {
		t.Errorf("the laptop cannot write: %v", err)
	}
	waitForCopy(t, r2)
	verifyAll(t, r2)
}

// withoutPassword is the address of a database whose password is in the environment.
func withoutPassword(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if password, set := u.User.Password(); set {
		t.Setenv("PGPASSWORD", password)
		u.User = url.User(u.User.Username())
	}
	return u.String()
}

// TestWhatAServerAcceptedAloneIsMergedAndNoNodeOfItWritesOn has the server go on without
// its second place, then be fenced by hand at one node, which all nodes obey.
func TestWhatAServerAcceptedAloneIsMergedAndNoNodeOfItWritesOn(t *testing.T) {
	opt, k := onServer(t)
	other := opt // the data directory of another node
	other.Data, other.CopyTo = filepath.Join(t.TempDir(), "node"), ""
	if err := os.CopyFS(other.Data, os.DirFS(opt.Data)); err != nil {
		t.Fatal(err)
	}
	first, stop := copying(t, opt)
	fill(t, first, k, 2, 100)
	waitForCopy(t, first)
	stop()
	laptop := room.Options{Data: filepath.Join(t.TempDir(), "laptop")}
	taken, err := room.TakeOver(t.Context(), room.TakeOverArgs{From: opt.CopyTo, First: "operator", Second: "lead", Reason: "Probe"}, laptop)
	if err != nil {
		t.Fatal(err)
	}
	alone := opt
	alone.CopyTo = ""
	r1, err := room.Open(t.Context(), alone)
	if err != nil {
		t.Fatal(err)
	}
	takeIn(t, r1, k, "nur-hier", "A")
	takeIn(t, r1, k, "beide-anders", "C")
	if err := errors.Join(declare(t, r1, "allein erklärt"), r1.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := room.PutFence(t.Context(), alone, taken.Fence); err != nil {
		t.Fatal(err)
	}
	r1, err = room.Open(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if err := declare(t, r1, "an einem anderen Knoten"); !errors.Is(err, room.ErrFenced) || !strings.Contains(err.Error(), "Generation 2") {
		t.Errorf("another node of the fenced room: %v", err)
	}
	if err := r1.Close(); err != nil {
		t.Fatal(err)
	}

	r2, err := room.Open(t.Context(), laptop)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r2.Close() })
	takeIn(t, r2, k, "beide-anders", "D")
	args := map[string]string{"from": opt.Data}
	if _, err := room.Do[room.AloneReport](t.Context(), r2, "", "takeover.compare", args); err == nil || !strings.Contains(err.Error(), "--first-db") {
		t.Errorf("without the address of the database: %v", err)
	}
	args["database"] = "postgres://postgres:geheim@127.0.0.1/postgres"
	if _, err := room.Do[room.AloneReport](t.Context(), r2, "", "takeover.compare", args); !errors.Is(err, room.ErrPassword) {
		t.Errorf("with a password: %v", err)
	}
	args["database"] = withoutPassword(t, opt.Database)
	lease, err := room.Lead(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := room.Do[room.AloneReport](t.Context(), r2, "", "takeover.compare", args); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("while a node leads: %v", err)
	}
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	rep := do[room.AloneReport](t, r2, "", "takeover.compare", args)
	if len(rep.Kassen) != 1 || len(rep.Kassen[0].Items) != 2 || len(rep.Entries) != 1 {
		t.Fatalf("%+v", rep)
	}
	args["reason"] = "Abgleich"
	c := do[access.Consent](t, r2, "operator", "takeover.merge", args)
	out := do[room.Outcome](t, r2, "lead", "approve", map[string]string{"id": c.ID})
	merged, ok := out.Done.(room.Merged)
	if got := merged.Kassen[k]; !ok || got.Items != 1+1 || got.Conflicts != 1 {
		t.Errorf("merged %+v", out.Done)
	}
	verifyAll(t, r2)
}

package room_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/incident"
	"leitstand/room"
)

// copying runs the continuous copy of a room until stop is called.
func copying(t *testing.T, opt room.Options) (r *room.Room, stop func()) {
	t.Helper()
	r, err := room.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.RunCopy(ctx) }()
	stop = func() {
		cancel()
		if err := errors.Join(<-done, r.Close()); err != nil {
			t.Error(err)
		}
		stop = func() {}
	}
	t.Cleanup(func() { stop() })
	return r, stop
}

// waitForCopy waits until the copy holds everything acknowledged before.
func waitForCopy(t *testing.T, r *room.Room) {
	t.Helper()
	for began, now := time.Now(), time.Now(); time.Since(began) < 5*time.Minute; time.Sleep(20 * time.Millisecond) {
		s, err := room.Do[room.CopyStatus](t.Context(), r, "", "copy.status", nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.At.After(now) {
			return
		}
	}
	t.Fatal("the copy does not come")
}

func declare(t *testing.T, r *room.Room, title string) error {
	t.Helper()
	_, err := room.Do[incident.Incident](t.Context(), r, "lead", "incident.declare", map[string]string{"title": title})
	return err
}

func titles(t *testing.T, r *room.Room) string {
	t.Helper()
	all, err := room.Do[[]incident.Incident](t.Context(), r, "", "incident.list", nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range all {
		out = append(out, i.Title)
	}
	return strings.Join(out, ",")
}

// placed makes a practice room with a second place, closed.
func placed(t *testing.T) room.Options {
	t.Helper()
	r, opt := practiceRoom(t)
	opt.CopyTo = filepath.Join(t.TempDir(), "second")
	if err := errors.Join(r.Close(), room.PreparePlace(opt.Data, opt.CopyTo)); err != nil {
		t.Fatal(err)
	}
	return opt
}

func identity(t *testing.T) (*age.X25519Identity, string) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return id, file
}

func TestASecondMachineTakesOverFromTheContinuousCopyAndTheFirstStopsWriting(t *testing.T) {
	opt := placed(t)
	first, stop := copying(t, opt)
	for _, title := range []string{"eins", "zwei"} {
		if err := declare(t, first, title); err != nil {
			t.Fatal(err)
		}
		waitForCopy(t, first)
	}
	second := room.Options{Data: filepath.Join(t.TempDir(), "second-machine")}
	taken, err := room.TakeOver(t.Context(), room.TakeOverArgs{From: opt.CopyTo, First: "operator", Second: "lead", Reason: "Probe"}, second)
	if err != nil || !taken.Fenced || taken.Generation != 2 {
		t.Fatalf("%+v: %v", taken.Generation, err)
	}
	refused := untilFenced(t, first)
	if refused.Rule != 2 || !errors.Is(refused, room.ErrFenced) || !strings.Contains(refused.Text, "Generation 2") {
		t.Errorf("refused with %+v", refused)
	}
	k := first.Catalogue.Kassen[0].ID
	if err := bookOpen(t, first, k, 99); !errors.Is(err, room.ErrFenced) {
		t.Errorf("the journal of a Kasse still takes writes: %v", err)
	}
	stop()
	// Also after a restart, without the second place.
	again := opt
	again.CopyTo = ""
	r, err := room.Open(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if err := declare(t, r, "nach dem Neustart"); !errors.Is(err, room.ErrFenced) {
		t.Errorf("after a restart: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	second.CopyTo = opt.CopyTo
	r2, _ := copying(t, second)
	if got := titles(t, r2); !strings.Contains(got, "eins") || !strings.Contains(got, "zwei") {
		t.Errorf("the second machine knows %q", got)
	}
	if err := declare(t, r2, "drei"); err != nil {
		t.Errorf("the second machine cannot write: %v", err)
	}
	waitForCopy(t, r2)
	verifyAll(t, r2)
}

// untilFenced acts on a machine that still runs until it has learned, in its next
// cycle, that another has taken over, and returns what it says then.
func untilFenced(t *testing.T, first *room.Room) (refused *room.Failure) {
	t.Helper()
	for began := time.Now(); refused == nil; time.Sleep(50 * time.Millisecond) {
		if err := declare(t, first, "zu spät"); err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("the first machine goes on writing")
		}
	}
	return refused
}

func bookOpen(t *testing.T, r *room.Room, k catalogue.KasseID, epoch int64) error {
	t.Helper()
	j, err := r.Journals.Open(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return j.OpenBook(t.Context(), catalogue.PlacementID(string(k)+"/probe/x"), epoch, time.Now(), "operator")
}

func verifyAll(t *testing.T, r *room.Room) {
	t.Helper()
	reports, err := room.Do[[]room.Verified](t.Context(), r, "", "ledger.verify", map[string]bool{"state": true})
	if err != nil {
		t.Fatal(err)
	}
	for _, rep := range reports {
		if len(rep.Problems) > 0 {
			t.Errorf("%s: %v", rep.Ledger, rep.Problems)
		}
	}
}

func TestAfterAnInterruptedTakeOverTheNextOneHasAHigherGeneration(t *testing.T) {
	opt := placed(t)
	r, stop := copying(t, opt)
	waitForCopy(t, r)
	stop()
	args := room.TakeOverArgs{From: opt.CopyTo, First: "operator", Second: "lead", Reason: "Probe"}
	to := filepath.Join(t.TempDir(), "b")
	if err := os.MkdirAll(to+".partial", 0o700); err != nil { // what a killed one leaves
		t.Fatal(err)
	}
	for want := int64(2); want < 4; want++ {
		taken, err := room.TakeOver(t.Context(), args, room.Options{Data: to})
		if err != nil || taken.Generation != want {
			t.Fatalf("generation %d (%v), want %d", taken.Generation, err, want)
		}
		to = filepath.Join(t.TempDir(), "c")
	}
	args.Second = "operator"
	if _, err := room.TakeOver(t.Context(), args, room.Options{Data: filepath.Join(t.TempDir(), "d")}); !errors.Is(err, access.ErrSamePerson) {
		t.Errorf("one person alone: %v", err)
	}
	args.Second = "press"
	if _, err := room.TakeOver(t.Context(), args, room.Options{Data: filepath.Join(t.TempDir(), "e")}); err == nil {
		t.Error("press took a room over")
	}
}

func TestWithoutItsSecondPlaceARoomWaitsUntilTwoDecideOrThePlaceIsBack(t *testing.T) {
	opt := placed(t)
	away := opt.CopyTo + "-away"
	if err := os.Rename(opt.CopyTo, away); err != nil {
		t.Fatal(err)
	}
	r, stop := copying(t, opt)
	if err := declare(t, r, "blind"); !errors.Is(err, room.ErrFenced) {
		t.Errorf("without its second place: %v", err)
	}
	if err := os.Rename(away, opt.CopyTo); err != nil {
		t.Fatal(err)
	}
	waitForCopy(t, r)
	if err := declare(t, r, "wieder da"); err != nil {
		t.Errorf("with its place back: %v", err)
	}
	stop()
	if err := os.Rename(opt.CopyTo, away); err != nil {
		t.Fatal(err)
	}
	opt.Alone = &room.Alone{First: "operator", Second: "operator", Reason: "x"}
	if _, err := room.Open(t.Context(), opt); !errors.Is(err, access.ErrSamePerson) {
		t.Errorf("one person alone: %v", err)
	}
	opt.Alone.Second = "lead"
	r, _ = copying(t, opt)
	if err := declare(t, r, "zu zweit entschieden"); err != nil {
		t.Error(err)
	}
}

func TestASealedCopyOpensOnlyForItsRecipients(t *testing.T) {
	opt := placed(t)
	r, stop := copying(t, opt)
	mine, mineFile := identity(t)
	kasse, kasseFile := identity(t)
	_, otherFile := identity(t)
	k := r.Catalogue.Kassen[0].ID
	c, err := room.Do[access.Consent](t.Context(), r, "operator", "backup.seal-to", map[string]any{
		"room": []string{mine.Recipient().String()}, "kassen": map[catalogue.KasseID][]string{k: {kasse.Recipient().String()}}, "reason": "Stick verlässt das Haus",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := room.Do[room.Outcome](t.Context(), r, "operator", "approve", map[string]string{"id": c.ID}); err == nil {
		t.Fatal("one person decided who reads backups")
	}
	if _, err := room.Do[room.Outcome](t.Context(), r, "lead", "approve", map[string]string{"id": c.ID}); err != nil {
		t.Fatal(err)
	}
	waitForCopy(t, r)
	waitForCopy(t, r)
	stick := filepath.Join(t.TempDir(), "stick")
	if _, err := room.Do[room.Manifest](t.Context(), r, "operator", "backup", map[string]string{"to": stick}); err != nil {
		t.Fatal(err)
	}
	verifyAll(t, r)
	stop()
	for _, dir := range []string{stick, opt.CopyTo} {
		noPlain(t, dir)
		for name, tt := range map[string]struct {
			files []string
			opens bool
		}{
			"nobody":       {nil, false},
			"somebody":     {[]string{otherFile}, false},
			"room alone":   {[]string{mineFile}, false},
			"room + Kasse": {[]string{mineFile, kasseFile}, true},
		} {
			ids, err := room.ReadIdentities(tt.files...)
			if err != nil {
				t.Fatal(err)
			}
			_, reports, err := room.Restore(t.Context(), dir, room.Options{Data: filepath.Join(t.TempDir(), "x"), Identities: ids})
			if tt.opens != (err == nil) || !tt.opens && !errors.Is(err, room.ErrNoIdentity) {
				t.Errorf("%s from %s: %v", name, filepath.Base(dir), err)
			}
			for _, rep := range reports {
				if len(rep.Problems) > 0 {
					t.Errorf("%s: %v", rep.Ledger, rep.Problems)
				}
			}
		}
	}
}

// noPlain fails when a directory holds a store or a key that is not sealed.
func noPlain(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch e.Name() {
		case "backup.json", "copy.json", "place.json":
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(b), "age-encryption.org/v1\n") {
			t.Errorf("%s is not sealed", e.Name())
		}
	}
}

func TestOnlyWhatChangedIsCopiedAgain(t *testing.T) {
	opt := placed(t)
	r, stop := copying(t, opt)
	waitForCopy(t, r)
	whole, err := room.Do[room.CopyStatus](t.Context(), r, "", "copy.status", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := declare(t, r, strings.Repeat("x", 100)); err != nil {
			t.Fatal(err)
		}
		waitForCopy(t, r)
	}
	after, err := room.Do[room.CopyStatus](t.Context(), r, "", "copy.status", nil)
	if err != nil {
		t.Fatal(err)
	}
	if more := after.Bytes - whole.Bytes; more <= 0 || more > whole.Bytes/4 {
		t.Errorf("three small entries took %d bytes more, the whole is %d", more, whole.Bytes)
	}
	stop()
	// A second process begins anew and removes what it replaces.
	r, stop = copying(t, opt)
	waitForCopy(t, r)
	stop()
	files, err := filepath.Glob(filepath.Join(opt.CopyTo, "*.pages"))
	if err != nil || len(files) != 13 {
		t.Errorf("%d files of pages (%v), want one per store", len(files), err)
	}
}

func TestADamagedCopyIsRefused(t *testing.T) {
	opt := placed(t)
	r, stop := copying(t, opt)
	waitForCopy(t, r)
	stop()
	files, err := filepath.Glob(filepath.Join(opt.CopyTo, "room-*.pages"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "x")
	if _, _, err := room.Restore(t.Context(), opt.CopyTo, room.Options{Data: to}); !errors.Is(err, room.ErrSegment) {
		t.Errorf("%v, want %v", err, room.ErrSegment)
	}
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		entries, _ := os.ReadDir(to)
		if len(entries) > 0 {
			t.Error("half a room was left")
		}
	}
}

func TestASecondPlaceBelongsToOneRoom(t *testing.T) {
	opt, other := placed(t), placed(t)
	opt.CopyTo = other.CopyTo
	r, _ := copying(t, opt)
	if err := declare(t, r, "x"); !errors.Is(err, room.ErrFenced) || !strings.Contains(err.Error(), "another room") {
		t.Errorf("%v", err)
	}
}

func TestARestoreTestIsOnRecordAndTheDoctorShowsIt(t *testing.T) {
	r, opt := practiceRoom(t)
	stick := filepath.Join(t.TempDir(), "stick")
	if _, err := room.Do[room.Manifest](t.Context(), r, "operator", "backup", map[string]string{"to": stick}); err != nil {
		t.Fatal(err)
	}
	found := func() room.Health {
		up, err := room.Do[room.Checkup](t.Context(), r, "", "doctor", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range up.Findings {
			if f.Name == "Rückspielprobe" {
				return f.Health
			}
		}
		return ""
	}
	if got := found(); got != room.Bad {
		t.Errorf("before any test: %s", got)
	}
	test := func() room.BackupTest {
		out, err := room.Do[room.BackupTest](t.Context(), r, "operator", "backup.test", map[string]string{"from": stick})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := test(); out.Problems != 0 || out.Ledgers != 13 || found() != room.Good {
		t.Errorf("%+v, doctor says %s", out, found())
	}
	if left, _ := filepath.Glob(filepath.Join(opt.Data, "restore-test-*")); len(left) > 0 {
		t.Errorf("the test left %v", left)
	}
	if err := os.Truncate(filepath.Join(stick, "room.db"), 8192); err != nil {
		t.Fatal(err)
	}
	if out := test(); out.Problems == 0 || found() != room.Bad {
		t.Errorf("a damaged backup: %+v, doctor says %s", out, found())
	}
}

func TestWhatTheFirstAcceptedAloneIsShownAndMergedByTwoWithNothingOverwritten(t *testing.T) {
	opt := placed(t)
	first, stop := copying(t, opt)
	k := first.Catalogue.Kassen[0].ID
	fill(t, first, k, 2, 100)
	waitForCopy(t, first)
	stop()
	second := room.Options{Data: filepath.Join(t.TempDir(), "second-machine")}
	if _, err := room.TakeOver(t.Context(), room.TakeOverArgs{From: opt.CopyTo, First: "operator", Second: "lead", Reason: "Probe"}, second); err != nil {
		t.Fatal(err)
	}
	// The first never hears of it and goes on: without its second place it has nobody to ask.
	alone := opt
	alone.CopyTo = ""
	r1, err := room.Open(t.Context(), alone)
	if err != nil {
		t.Fatal(err)
	}
	takeIn(t, r1, k, "nur-hier", "A")
	takeIn(t, r1, k, "beide-gleich", "B")
	takeIn(t, r1, k, "beide-anders", "C")
	if err := errors.Join(declare(t, r1, "allein erklärt"), r1.Close()); err != nil {
		t.Fatal(err)
	}
	r2, err := room.Open(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r2.Close() })
	takeIn(t, r2, k, "beide-gleich", "B")
	takeIn(t, r2, k, "beide-anders", "D")
	rep, err := room.Do[room.AloneReport](t.Context(), r2, "", "takeover.compare", map[string]string{"from": opt.Data})
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Kassen) != 1 || len(rep.Kassen[0].Items) != 3 || len(rep.Entries) != 1 || rep.Entries[0].Kind != "incident.declared" {
		t.Fatalf("%+v", rep)
	}
	ask := func() access.Consent {
		c, err := room.Do[access.Consent](t.Context(), r2, "operator", "takeover.merge", map[string]string{"from": opt.Data, "reason": "Abgleich"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := ask()
	if _, err := room.Do[room.Outcome](t.Context(), r2, "operator", "approve", map[string]string{"id": c.ID}); !errors.Is(err, access.ErrSamePerson) {
		t.Errorf("merged by one person: %v", err)
	}
	out, err := room.Do[room.Outcome](t.Context(), r2, "lead", "approve", map[string]string{"id": c.ID})
	if err != nil {
		t.Fatal(err)
	}
	merged, ok := out.Done.(room.Merged)
	if !ok {
		t.Fatalf("merging gave %T", out.Done)
	}
	got := merged.Kassen[k]
	if got.Items != 2 || got.Known != 1 || got.Conflicts != 1 {
		t.Errorf("merged %+v", got)
	}
	if c := counts(t, r2, k); c.Accepted != 6 || c.Held != 1 {
		t.Errorf("books after merging: %+v", c)
	}
	if strings.Contains(titles(t, r2), "allein") {
		t.Error("a decision of the first machine was repeated")
	}
	verifyAll(t, r2)
	// Merging again changes nothing.
	if out, err = room.Do[room.Outcome](t.Context(), r2, "lead", "approve", map[string]string{"id": ask().ID}); err != nil {
		t.Fatal(err)
	}
	if c := counts(t, r2, k); c.Accepted != 6 {
		t.Errorf("merged twice: %+v", c)
	}
	if _, err := os.Stat(filepath.Join(second.Data, merged.Kept)); err != nil {
		t.Error(err)
	}
}

func counts(t *testing.T, r *room.Room, k catalogue.KasseID) emergency.Counts {
	t.Helper()
	j, err := r.Journals.Open(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := j.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func takeIn(t *testing.T, r *room.Room, k catalogue.KasseID, key, body string) {
	t.Helper()
	j, err := r.Journals.Open(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Accept(t.Context(), catalogue.PlacementID(string(k)+"/probe/x"), 1, time.Now(), "operator", emergency.Draft{
		Key: key, Kind: emergency.KindPaper, Source: "probe", Received: time.Now(), Media: "text/plain", Body: []byte(body),
	}); err != nil {
		t.Fatal(err)
	}
}

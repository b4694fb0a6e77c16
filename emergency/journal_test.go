package emergency_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/seal"

	"github.com/google/go-cmp/cmp"
)

const (
	kasse = catalogue.KasseID("109034270")
	place = catalogue.PlacementID("109034270/eau/munich")
	actor = "anna"
)

var t0 = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// room is a place with journals and an unlocked master key.
type room struct {
	*emergency.Journals
	config emergency.Config
	master *seal.Master
}

func newRoom(t *testing.T, where db.Place) *room {
	t.Helper()
	key, err := ledger.NewKey("leitstand/test")
	if err != nil {
		t.Fatal(err)
	}
	r := &room{config: emergency.Config{Place: where, Key: key, Index: emergency.IndexSecret{1, 2, 3}}, master: seal.NewMaster()}
	r.start(t)
	return r
}

func (r *room) start(t *testing.T) {
	t.Helper()
	r.Journals = emergency.NewJournals(r.config)
	r.Unlock(r.master)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// journal opens a book with epoch 1.
func (r *room) journal(t *testing.T) *emergency.Journal {
	t.Helper()
	ctx := t.Context()
	if err := r.Provision(ctx, kasse, t0, actor, r.master); err != nil {
		t.Fatal(err)
	}
	j, err := r.Open(ctx, kasse)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.OpenBook(ctx, place, 1, t0, actor); err != nil {
		t.Fatal(err)
	}
	return j
}

func draft(key string) emergency.Draft {
	return emergency.Draft{
		Key: key, Kind: emergency.KindSickNote, Source: "test", Received: t0, Media: "text/plain",
		Body: []byte("body of " + key), Person: "A123456789",
	}
}

func accept(t *testing.T, j *emergency.Journal, keys ...string) []emergency.Accepted {
	t.Helper()
	drafts := make([]emergency.Draft, len(keys))
	for i, k := range keys {
		drafts[i] = draft(k)
	}
	got, err := j.Accept(t.Context(), place, 1, t0, ledger.System, drafts...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func counts(t *testing.T, j *emergency.Journal) emergency.Counts {
	t.Helper()
	c, err := j.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	return c
}

func verify(t *testing.T, j *emergency.Journal) {
	t.Helper()
	rep, err := j.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rep.Problems {
		t.Errorf("ledger: %s %d-%d: %s", p.Kind, p.From, p.To, p.Text)
	}
}

func TestAcceptedItemsAreDurableSealedAndInTheLedger(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		r := newRoom(t, where)
		j := r.journal(t)
		got := accept(t, j, "a", "b", "c")
		if got[0].Number != 1 || got[2].Number != 3 || got[0].Known {
			t.Errorf("accepted %+v", got)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r.start(t)
		j, err := r.Open(t.Context(), kasse)
		if err != nil {
			t.Fatal(err)
		}
		it, body, err := j.ReadBody(t.Context(), 2, t0, actor, "Rückfrage der Praxis")
		if err != nil || string(body) != "body of b" || it.ID != got[1].ID {
			t.Errorf("body %q, item %+v, %v", body, it, err)
		}
		if c := counts(t, j); c.Accepted != 3 || c.Open != 3 {
			t.Errorf("counts %+v", c)
		}
		head, ok, err := j.Head(t.Context())
		if err != nil || !ok || head.Size != 4 { // provisioned, opened, accepted, read
			t.Errorf("head %+v %v %v", head, ok, err)
		}
		verify(t, j)
	})
}

func TestTheSameKeyIsOneItemAndAnotherContentIsRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		j := newRoom(t, where).journal(t)
		first := accept(t, j, "a")
		again := accept(t, j, "a", "b", "b")
		if again[0].Number != first[0].Number || again[0].ID != first[0].ID || !again[0].Known || again[1].Known || again[2].Number != again[1].Number {
			t.Errorf("first %+v, again %+v", first, again)
		}
		d := draft("a")
		d.Body = []byte("something else")
		if _, err := j.Accept(t.Context(), place, 1, t0, actor, d); !errors.Is(err, emergency.ErrKeyReused) {
			t.Errorf("other content under the same key: %v", err)
		}
		if c := counts(t, j); c.Taken != 2 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestAcceptanceNeedsAnOpenBookAndTheCurrentEpoch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		ctx := t.Context()
		j := newRoom(t, where).journal(t)
		refused := func(want error, epoch int64) {
			t.Helper()
			if _, err := j.Accept(ctx, place, epoch, t0, actor, draft(rnd())); !errors.Is(err, want) {
				t.Errorf("accept with epoch %d: %v, want %v", epoch, err, want)
			}
		}
		refused(emergency.ErrEpoch, 0)
		refused(emergency.ErrEpoch, 2)
		if _, err := j.Accept(ctx, "109034270/eau/hamburg", 1, t0, actor, draft("x")); !errors.Is(err, emergency.ErrNotOpen) {
			t.Errorf("another placement: %v", err)
		}
		must(t, j.OpenBook(ctx, place, 5, t0, actor))
		refused(emergency.ErrEpoch, 1)
		must(t, j.DrainBook(ctx, place, 5, t0, actor))
		refused(emergency.ErrNotOpen, 5)
		must(t, j.OpenBook(ctx, place, 5, t0, actor)) // back from the handover
		if _, err := j.Accept(ctx, place, 5, t0, actor, draft("y")); err != nil {
			t.Error(err)
		}
		if err := j.CloseBook(ctx, place, 5, t0, actor); !errors.Is(err, emergency.ErrNotEmpty) {
			t.Errorf("closing with an open item: %v", err)
		}
		must(t, j.Apply(ctx, emergency.Entry{At: t0, Actor: actor, Kind: "item.rejected", Reason: "Probe"}, emergency.Change{
			Number: 1, Apply: func(s emergency.Standing) (emergency.Standing, error) { return s.Refuse("falsch adressiert", actor) },
		}))
		must(t, j.CloseBook(ctx, place, 5, t0, actor))
		must(t, j.CloseBook(ctx, place, 5, t0, actor)) // harmless
		refused(emergency.ErrNotOpen, 5)
		if err := j.OpenBook(ctx, place, 5, t0, actor); !errors.Is(err, emergency.ErrEpoch) {
			t.Errorf("opening a closed book again with its epoch: %v", err)
		}
		must(t, j.OpenBook(ctx, place, 6, t0, actor))
		verify(t, j)
	})
}

func TestAcceptingNeedsNoUnlock(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	r.journal(t)
	must(t, r.Close())
	r.start(t)
	r.Lock()
	j, err := r.Open(t.Context(), kasse)
	must(t, err)
	accept(t, j, "night")
	it, err := j.Item(t.Context(), 1)
	must(t, err)
	if _, err := j.Body(t.Context(), it); !errors.Is(err, emergency.ErrLocked) {
		t.Errorf("body while locked: %v", err)
	}
	r.Unlock(r.master)
	if body, err := j.Body(t.Context(), it); err != nil || string(body) != "body of night" {
		t.Errorf("body %q %v", body, err)
	}
}

func TestVerifyFindsAChangedByte(t *testing.T) {
	for _, tc := range []struct{ name, sql string }{
		{"body", `update journal_body set sealed = substr(sealed, 1, 1300) || x'00' || substr(sealed, 1302) where number = 2`},
		{"body gone", `delete from journal_body where number = 2`},
		{"item", `update journal_item set received = received + 1 where number = 2`},
		{"state", `update journal_standing set state = 'applied', result = 'applied' where number = 2`},
		{"book", `update journal_book set epoch = 9`},
		{"ledger", `update ledger_entry set body = replace(body, 'test', 'tost') where seq = 3`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := newRoom(t, db.InDir(t.TempDir())).journal(t)
			accept(t, j, "a", "b", "c")
			verify(t, j)
			must(t, j.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				n, err := tx.Exec(ctx, tc.sql)
				if err == nil && n == 0 {
					err = errors.New("nothing changed")
				}
				return err
			}))
			rep, err := j.Verify(t.Context())
			must(t, err)
			if len(rep.Problems) == 0 {
				t.Error("not found")
			}
		})
	}
}

func TestNumbersHaveACheckCharacterThatFindsSlips(t *testing.T) {
	label := emergency.Number(12387).Label(kasse)
	if n, err := emergency.ParseNumber(kasse, " "+label+" "); err != nil || n != 12387 {
		t.Errorf("%q: %d %v", label, n, err)
	}
	if _, err := emergency.ParseNumber("104212505", label); err == nil {
		t.Errorf("%q was taken for another Kasse's", label)
	}
	for i := range 7 {
		for d := byte('0'); d <= '9'; d++ {
			b := []byte(label)
			if b[i] == d {
				continue
			}
			b[i] = d
			if _, err := emergency.ParseNumber(kasse, string(b)); err == nil {
				t.Errorf("%q was taken for %q", b, label)
			}
		}
		if b := []byte(label); i < 6 && b[i] != b[i+1] {
			b[i], b[i+1] = b[i+1], b[i]
			if _, err := emergency.ParseNumber(kasse, string(b)); err == nil {
				t.Errorf("%q was taken for %q", b, label)
			}
		}
	}
}

// The states are few: every act is tried in every state, against the table.
func TestTransitionsAreThoseOfTheTable(t *testing.T) {
	type act struct {
		name string
		do   func(emergency.Standing) (emergency.Standing, error)
		from map[emergency.State]emergency.State
	}
	acts := []act{
		{
			"ready", func(s emergency.Standing) (emergency.Standing, error) { return s.Ready("sicknote", "") },
			map[emergency.State]emergency.State{"unread": "pending", "held": "pending"},
		},
		{
			"hold", func(s emergency.Standing) (emergency.Standing, error) { return s.Hold("mail", "", "r", "o", t0) },
			map[emergency.State]emergency.State{"unread": "held", "pending": "held", "held": "held"},
		},
		{
			"merge", func(s emergency.Standing) (emergency.Standing, error) { return s.Merge("mail", 7) },
			map[emergency.State]emergency.State{"unread": "duplicate", "held": "duplicate"},
		},
		{
			"refuse", func(s emergency.Standing) (emergency.Standing, error) { return s.Refuse("r", "o") },
			map[emergency.State]emergency.State{"unread": "rejected", "pending": "rejected", "held": "rejected"},
		},
		{
			"send", func(s emergency.Standing) (emergency.Standing, error) { return s.Send("b") },
			map[emergency.State]emergency.State{"pending": "sent", "held": "sent"},
		},
		{
			"recall", func(s emergency.Standing) (emergency.Standing, error) { return s.Recall() },
			map[emergency.State]emergency.State{"sent": "pending"},
		},
		{
			"receipt", func(s emergency.Standing) (emergency.Standing, error) { return s.Receipt() },
			map[emergency.State]emergency.State{"sent": "receipted"},
		},
		{
			"settle", func(s emergency.Standing) (emergency.Standing, error) { return s.Settle("applied", "", "") },
			map[emergency.State]emergency.State{"sent": "applied", "receipted": "applied"},
		},
		{
			"reopen", func(s emergency.Standing) (emergency.Standing, error) { return s.Reopen() },
			map[emergency.State]emergency.State{"rejected": "pending"},
		},
		{
			"reconcile", func(s emergency.Standing) (emergency.Standing, error) { return s.Reconcile() },
			map[emergency.State]emergency.State{"applied": "reconciled", "known": "reconciled", "rejected": "reconciled"},
		},
	}
	for _, a := range acts {
		for _, from := range emergency.States() {
			got, err := a.do(emergency.Standing{Number: 1, State: from})
			want, allowed := a.from[from]
			if allowed != (err == nil) || allowed && got.State != want {
				t.Errorf("%s from %s: %s, %v; want %s", a.name, from, got.State, err, want)
			}
			if !allowed && !errors.Is(err, emergency.ErrIllegal) {
				t.Errorf("%s from %s: %v", a.name, from, err)
			}
		}
	}
}

func TestHoldingAndRejectingNeedReasonAndOwner(t *testing.T) {
	s := emergency.Standing{Number: 1, State: emergency.Unread}
	for _, err := range []error{
		second(s.Hold("mail", "", "", "o", t0)), second(s.Hold("mail", "", "r", "", t0)), second(s.Hold("mail", "", "r", "o", time.Time{})),
		second(s.Refuse("", "o")), second(s.Refuse("r", "")),
		second(emergency.Standing{State: emergency.Sent}.Settle(emergency.Rejected, "r", "")),
	} {
		if !errors.Is(err, emergency.ErrIncomplete) {
			t.Errorf("got %v", err)
		}
	}
}

func TestManyWritersShareCommitsAndNumbersHaveNoGaps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		j := newRoom(t, where).journal(t)
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 5 {
					if _, err := j.Accept(t.Context(), place, 1, t0, ledger.System, draft(fmt.Sprint(w, "-", i)), draft(fmt.Sprint(w, "+", i))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		items, err := j.Items(t.Context(), emergency.Filter{Placement: place, Limit: 200})
		must(t, err)
		for i, it := range items {
			if int(it.Number) != i+1 || int(it.Position) != i+1 {
				t.Fatalf("item %d has number %d, position %d", i+1, it.Number, it.Position)
			}
		}
		if diff := cmp.Diff(int64(80), counts(t, j).Accepted); diff != "" {
			t.Error(diff)
		}
		verify(t, j)
	})
}

func BenchmarkAccept1KB(b *testing.B)  { benchmarkAccept(b, 1<<10) }
func BenchmarkAccept20KB(b *testing.B) { benchmarkAccept(b, 20<<10) }

// benchmarkAccept accepts 50 items a call from 4 callers and reports items/s.
func benchmarkAccept(b *testing.B, size int) {
	key, err := ledger.NewKey("leitstand/test")
	if err != nil {
		b.Fatal(err)
	}
	js := emergency.NewJournals(emergency.Config{Place: db.InDir(b.TempDir()), Key: key})
	if err := js.Provision(b.Context(), kasse, t0, actor, seal.NewMaster()); err != nil {
		b.Fatal(err)
	}
	j, err := js.Open(b.Context(), kasse)
	if err != nil {
		b.Fatal(err)
	}
	if err := j.OpenBook(b.Context(), place, 1, t0, actor); err != nil {
		b.Fatal(err)
	}
	const callers, perCall = 4, 50
	body, n := make([]byte, size), 0
	for b.Loop() {
		var wg sync.WaitGroup
		for c := range callers {
			start := n + c*perCall
			wg.Go(func() {
				drafts := make([]emergency.Draft, perCall)
				for i := range drafts {
					drafts[i] = draft(fmt.Sprint("k", start+i))
					drafts[i].Body = body
				}
				if _, err := j.Accept(b.Context(), place, 1, t0, ledger.System, drafts...); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		n += callers * perCall
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "items/s")
	if err := js.Close(); err != nil {
		b.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func second(_ emergency.Standing, err error) error { return err }

func rnd() string { return time.Now().String() }

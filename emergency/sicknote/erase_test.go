package sicknote_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
)

// regular is a regular system that takes everything.
type regular struct {
	mu   sync.Mutex
	have map[string]emergency.ListEntry
}

func (r *regular) Receive(_ context.Context, p emergency.Parcel) (rec emergency.Receipt, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range p.Items {
		r.have[it.ID] = emergency.ListEntry{ID: it.ID, Kind: it.Kind, Result: emergency.Applied, SHA256: it.SHA256, Amount: it.Amount}
		rec.Items = append(rec.Items, emergency.ReceiptItem{ID: it.ID, SHA256: it.SHA256, Result: emergency.Applied})
	}
	return rec, nil
}

func (r *regular) List(_ context.Context, q emergency.ListQuery) (out []emergency.ListEntry, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, e := range r.have {
		if strings.HasPrefix(id, q.Bucket) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (r *regular) Compare(ctx context.Context, _ emergency.Comparison) ([]emergency.Line, error) {
	all, err := r.List(ctx, emergency.ListQuery{})
	return emergency.Sum(all), err
}

// handedOver gives everything to a regular system and compares the books.
func (r *room) handedOver(t *testing.T, at time.Time) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	recv := &emergency.Receiver{Name: "Regelsystem", Key: key, Token: "geheim", Receiving: &regular{have: map[string]emergency.ListEntry{}}}
	srv := httptest.NewServer(recv.Handler())
	defer srv.Close()
	must(t, r.journal(t).DrainBook(t.Context(), place, 1, at, "anna"))
	h := &emergency.Handover{
		Journal: r.journal(t), Placement: place, Receiver: public, Owner: "anna", Holder: "test",
		Channel:  &emergency.HTTPS{URL: srv.URL, Token: "geheim", Client: srv.Client()},
		Describe: r.intake.Describe(nil),
	}
	for {
		next, err := h.Due(t.Context(), at)
		must(t, err)
		if next.IsZero() {
			break
		}
	}
	if o, err := h.Reconcile(t.Context(), at, "anna"); err != nil || !o.Agrees {
		t.Fatalf("%+v %v", o, err)
	}
}

func TestWhatIsReconciledIsErasedWithProof(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		ctx := t.Context()
		r := newRoom(t, where)
		r.server.put(address, noteMail(t, 1), noteMail(t, 2), noteMail(t, 1))
		r.poll(t)
		ask := func(n int, from string) sicknote.Answer {
			a, err := r.intake.Answer(ctx, sicknote.Request{ID: "r-" + from, Employer: "12345678", Kasse: kasse, Insured: certificate(n).Patient.KVNR, From: from}, t0)
			must(t, err)
			return a
		}
		ask(1, "2026-11-20") // answered for good
		ask(2, "2026-11-01") // 4: the Kasse reports for 14 days
		day := t0.Add(24 * time.Hour)
		act := sicknote.Act{At: day.Add(time.Hour), Actor: "kasse", Reason: "Aufbewahrung endet"}
		e, err := r.intake.Erase(ctx, kasse, day, act)
		must(t, err)
		if e.Bodies != 0 || e.Leaves != 0 || e.Kept != 3 {
			t.Errorf("before reconciliation: %+v", e)
		}
		r.handedOver(t, t0.Add(time.Hour))
		kept, err := r.intake.Kept(ctx, kasse, day)
		if err != nil || kept.Bodies != 3 || kept.Due != 3 || !kept.Oldest.Equal(t0) {
			t.Errorf("%+v %v", kept, err)
		}
		if e, err = r.intake.Erase(ctx, kasse, t0, act); err != nil || e.Bodies != 0 {
			t.Errorf("what came on the day itself or later: %+v %v", e, err)
		}
		if _, err = r.intake.Erase(ctx, kasse, act.At.Add(time.Second), act); err == nil {
			t.Error("a day to come was taken")
		}
		e, err = r.intake.Erase(ctx, kasse, day, act)
		must(t, err)
		if e.Bodies != 3 || e.Leaves != 2 || e.Asked != 0 || e.Kept != 0 || len(e.Entries) != 2 || !strings.Contains(e.Head, "leitstand") {
			t.Errorf("%+v", e)
		}
		if _, _, err := r.journal(t).ReadBody(ctx, 1, act.At, "kasse", "neugierig"); !errors.Is(err, emergency.ErrErased) {
			t.Errorf("reading what is erased: %v", err)
		}
		if kept, err = r.intake.Kept(ctx, kasse, day); err != nil || kept.Bodies != 0 {
			t.Errorf("%+v %v", kept, err)
		}
		if e, err = r.intake.Erase(ctx, kasse, day, act); err != nil || e.Bodies+e.Leaves != 0 || len(e.Entries) != 0 {
			t.Errorf("again: %+v %v", e, err)
		}
		rep, err := r.journal(t).Verify(ctx)
		if err != nil || len(rep.Problems) > 0 {
			t.Errorf("%+v %v", rep.Problems, err)
		}
		act.At = t0.Add(40 * 24 * time.Hour) // the duty to report has ended
		if e, err = r.intake.Erase(ctx, kasse, act.At, act); err != nil || e.Asked != 1 {
			t.Errorf("requests: %+v %v", e, err)
		}
	})
}

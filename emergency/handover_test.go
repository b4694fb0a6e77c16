package emergency_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// regular is a regular system with books of its own.
type regular struct {
	mu      sync.Mutex
	order   []string // bodies in the order in which they were applied
	have    map[string]emergency.ListEntry
	effects map[string]int                                       // how often each id was applied
	judge   func(emergency.ParcelItem) (emergency.State, string) // nil applies all
	defer_  bool                                                 // answer "receipted" first
	lose    func() bool                                          // whether to lose an answer
	wrong   func(emergency.Receipt) emergency.Receipt            // tampers
	server  *httptest.Server
	key     ed25519.PrivateKey
	recv    *emergency.Receiver
	seen    map[string]int // deliveries by batch
}

func newRegular(t *testing.T) *regular {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	r := &regular{have: map[string]emergency.ListEntry{}, effects: map[string]int{}, key: key, seen: map[string]int{}, lose: never}
	r.recv = &emergency.Receiver{Name: "Regelsystem", Key: key, Token: "geheim", Receiving: r}
	handler := r.recv.Handler()
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		lose := r.lose()
		r.mu.Unlock()
		if lose { // after the work is done: the answer gets lost
			handler.ServeHTTP(httptest.NewRecorder(), req)
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, req)
	}))
	t.Cleanup(r.server.Close)
	return r
}

func never() bool { return false }

// loses decides from now on which answers get lost, after the work is done.
func (r *regular) loses(lose func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lose = lose
}

func (r *regular) Receive(_ context.Context, p emergency.Parcel) (emergency.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[p.Batch]++
	var rec emergency.Receipt
	for _, it := range p.Items {
		e, known := r.have[it.ID]
		code := ""
		if !known {
			e = emergency.ListEntry{ID: it.ID, Kind: it.Kind, Result: emergency.Applied, SHA256: it.SHA256, Amount: it.Amount}
			if r.judge != nil {
				e.Result, code = r.judge(it)
			}
			r.have[it.ID] = e
			r.effects[it.ID]++
			r.order = append(r.order, string(it.Body))
		}
		said, text := e.Result, ""
		if e.Result == emergency.Rejected {
			text = "Frau Muster ist hier unbekannt"
		}
		if r.defer_ {
			said = emergency.Receipted
		}
		rec.Items = append(rec.Items, emergency.ReceiptItem{ID: it.ID, SHA256: it.SHA256, Result: said, Code: code, Text: text})
	}
	if r.wrong != nil {
		rec = r.wrong(rec)
	}
	return rec, nil
}

func (r *regular) List(_ context.Context, q emergency.ListQuery) ([]emergency.ListEntry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []emergency.ListEntry
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

func (r *regular) handover(j *emergency.Journal) *emergency.Handover {
	public, _ := r.key.Public().(ed25519.PublicKey)
	return &emergency.Handover{
		Journal: j, Placement: place, Receiver: public, Owner: "Fachteam eAU", Holder: "node1",
		Channel: &emergency.HTTPS{URL: r.server.URL, Client: r.server.Client(), Token: "geheim"},
		Retry:   time.Second, MaxItems: 7,
	}
}

// drain hands everything over, letting retries happen at once.
func drain(t *testing.T, h *emergency.Handover) {
	t.Helper()
	now := t0
	for range 1000 {
		next, err := h.Due(t.Context(), now)
		if err == nil && next.IsZero() {
			return
		}
		now = now.Add(time.Minute)
	}
	t.Fatal("the handover does not end")
}

func acceptMany(t *testing.T, j *emergency.Journal, n int) (bodies []string) {
	t.Helper()
	for i := range n {
		k := fmt.Sprint("item", i)
		accept(t, j, k)
		bodies = append(bodies, "body of "+k)
	}
	return bodies
}

func TestHandoverInOrderExactlyOnceAndReconciled(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		ctx := t.Context()
		j := newRoom(t, where).journal(t)
		want := acceptMany(t, j, 30)
		reg := newRegular(t)
		h := reg.handover(j)
		n := 0
		reg.loses(func() bool { n++; return n%3 == 1 }) // every third answer is lost
		drain(t, h)
		reg.loses(never)
		if !slices.Equal(reg.order, want) {
			t.Errorf("applied in the order %q", reg.order)
		}
		if c := counts(t, j); c.HandedOver != 30 || c.Open != 0 {
			t.Errorf("counts %+v", c)
		}
		must(t, j.DrainBook(ctx, place, 1, t0, actor))
		out, err := h.Reconcile(ctx, t0, actor)
		must(t, err)
		if c := counts(t, j); !out.Agrees || c.Reconciled != 30 {
			t.Errorf("outcome %+v, counts %+v", out, c)
		}
		out, err = h.Reconcile(ctx, t0, actor) // again is harmless
		if err != nil || !out.Agrees {
			t.Errorf("again: %+v %v", out, err)
		}
		must(t, j.CloseBook(ctx, place, 1, t0, actor))
		verify(t, j)
	})
}

func TestRejectedKnownAndHeldItemsKeepReasonAndOwner(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		ctx := t.Context()
		j := newRoom(t, where).journal(t)
		held := draft("held")
		held.Hold = &emergency.Hold{Reason: "XML nicht lesbar", Owner: "Postkorb eAU", Deadline: t0.Add(24 * time.Hour)}
		_, err := j.Accept(ctx, place, 1, t0, actor, draft("ok"), draft("known"), draft("bad"), held)
		must(t, err)
		if c := counts(t, j); c.Held != 1 || c.Open != 4 {
			t.Errorf("before: %+v", c)
		}
		reg := newRegular(t)
		var reason string
		reg.judge = func(it emergency.ParcelItem) (emergency.State, string) {
			switch string(it.Body) {
			case "body of known":
				return emergency.Known, ""
			case "body of bad":
				return emergency.Rejected, "KV-17"
			case "body of held":
				reason = it.Held
			}
			return emergency.Applied, ""
		}
		h := reg.handover(j)
		drain(t, h)
		c := counts(t, j)
		if c.HandedOver != 3 || c.Rejected != 1 || c.Open != 0 || c.States[emergency.Known] != 1 || reason != "XML nicht lesbar" {
			t.Errorf("after: %+v, reason %q", c, reason)
		}
		it, err := j.Item(ctx, 3)
		must(t, err)
		if it.Owner != "Fachteam eAU" || it.Reason != "vom Regelsystem abgewiesen: KV-17" {
			t.Errorf("rejected item: %+v", it)
		}
		records, err := ledger.Read(ctx, j.Store(), 0, 1000)
		must(t, err)
		if text := dump(records); strings.Contains(text, "Muster") || strings.Contains(text, "A123456789") {
			t.Error("the ledger names an insured person")
		}
		must(t, j.Reopen(ctx, t0, actor, "dort korrigiert", 3))
		reg.judge = nil
		delete(reg.have, it.ID) // corrected there: it would take the item now
		drain(t, h)
		if c := counts(t, j); c.Rejected != 0 || c.HandedOver != 4 {
			t.Errorf("after the correction: %+v", c)
		}
		out, err := h.Reconcile(ctx, t0, actor)
		if err != nil || !out.Agrees {
			t.Errorf("%+v %v", out, err)
		}
		verify(t, j)
	})
}

func TestAReceiverMayApplyLater(t *testing.T) {
	ctx := t.Context()
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	acceptMany(t, j, 3)
	reg := newRegular(t)
	reg.defer_ = true
	h := reg.handover(j)
	next, err := h.Due(ctx, t0)
	if c := counts(t, j); err != nil || !next.Equal(t0.Add(time.Minute)) || c.Open != 3 || c.States[emergency.Receipted] != 3 {
		t.Errorf("counts %+v, next %s, %v", c, next, err)
	}
	if err := j.CloseBook(ctx, place, 1, t0, actor); !errors.Is(err, emergency.ErrNotEmpty) {
		t.Errorf("closing before the results are there: %v", err)
	}
	var rec emergency.Receipt
	for batch := range reg.seen {
		rec = emergency.Receipt{Version: emergency.WireVersion, Kasse: kasse, Batch: batch, Receiver: "Regelsystem", At: t0}
	}
	for _, e := range reg.have {
		rec.Items = append(rec.Items, emergency.ReceiptItem{ID: e.ID, SHA256: e.SHA256, Result: emergency.Applied})
	}
	signed, err := emergency.SignReceipt(reg.key, rec)
	must(t, err)
	wrong := rec
	wrong.Items = slices.Clone(rec.Items)
	wrong.Items[0].SHA256 = strings.Repeat("00", 32)
	forged, err := emergency.SignReceipt(reg.key, wrong)
	must(t, err)
	if err := h.Settle(ctx, t0, forged); !errors.Is(err, emergency.ErrReceipt) {
		t.Errorf("a second receipt about another content: %v", err)
	}
	must(t, h.Settle(ctx, t0, signed))
	must(t, h.Settle(ctx, t0, signed)) // again changes nothing
	must(t, j.CloseBook(ctx, place, 1, t0, actor))
	out, err := h.Reconcile(ctx, t0, actor)
	if err != nil || !out.Agrees {
		t.Errorf("%+v %v", out, err)
	}
}

func TestReceiptsThatProveNothingAreNotBelieved(t *testing.T) {
	for name, wrong := range map[string]func(emergency.Receipt) emergency.Receipt{
		"item left out": func(r emergency.Receipt) emergency.Receipt { r.Items = r.Items[1:]; return r },
		"item twice":    func(r emergency.Receipt) emergency.Receipt { r.Items[1] = r.Items[0]; return r },
		"foreign item": func(r emergency.Receipt) emergency.Receipt {
			r.Items = append(r.Items, emergency.ReceiptItem{ID: "x", Result: "applied"})
			return r
		},
		"other hash":     func(r emergency.Receipt) emergency.Receipt { r.Items[0].SHA256 = "00"; return r },
		"no result":      func(r emergency.Receipt) emergency.Receipt { r.Items[0].Result = ""; return r },
		"foolish result": func(r emergency.Receipt) emergency.Receipt { r.Items[0].Result = "pending"; return r },
	} {
		t.Run(name, func(t *testing.T) {
			j := newRoom(t, db.InDir(t.TempDir())).journal(t)
			acceptMany(t, j, 3)
			reg := newRegular(t)
			reg.wrong = wrong
			h := reg.handover(j)
			if _, err := h.Due(t.Context(), t0); !errors.Is(err, emergency.ErrReceipt) {
				t.Errorf("got %v", err)
			}
			if c := counts(t, j); c.Open != 3 {
				t.Errorf("counts %+v", c)
			}
			reg.wrong = nil
			drain(t, h)
			if c := counts(t, j); c.HandedOver != 3 {
				t.Errorf("counts %+v", c)
			}
		})
	}
	t.Run("another key", func(t *testing.T) {
		j := newRoom(t, db.InDir(t.TempDir())).journal(t)
		acceptMany(t, j, 1)
		reg := newRegular(t)
		_, reg.recv.Key, _ = ed25519.GenerateKey(nil)
		if _, err := reg.handover(j).Due(t.Context(), t0); !errors.Is(err, emergency.ErrReceipt) {
			t.Errorf("got %v", err)
		}
	})
}

func TestComparingFindsEveryDifference(t *testing.T) {
	ctx := t.Context()
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	acceptMany(t, j, 5)
	reg := newRegular(t)
	h := reg.handover(j)
	drain(t, h)
	items, err := j.Items(ctx, emergency.Filter{})
	must(t, err)
	delete(reg.have, items[0].ID)
	e := reg.have[items[1].ID]
	e.SHA256 = "00"
	reg.have[e.ID] = e
	reg.have["ffff"] = emergency.ListEntry{ID: "ffff", Kind: emergency.KindSickNote, Result: emergency.Applied}
	out, err := h.Reconcile(ctx, t0, actor)
	must(t, err)
	got := map[string]string{}
	for _, d := range out.Differences {
		got[d.ID] = d.What
	}
	if out.Agrees || len(got) != 3 || got[items[0].ID] != "missing" || got[items[1].ID] != "differs" || got["ffff"] != "surplus" {
		t.Errorf("differences %v", got)
	}
	if c := counts(t, j); c.Reconciled != 0 {
		t.Errorf("something was reconciled: %+v", c)
	}
}

func TestAnotherNodeWaitsForTheLease(t *testing.T) {
	ctx := t.Context()
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	acceptMany(t, j, 2)
	reg := newRegular(t)
	first, other := reg.handover(j), reg.handover(j)
	other.Holder = "node2"
	killed := errors.New("killed")
	first.Hook = func(string) error { return killed }
	if _, err := first.Due(ctx, t0); !errors.Is(err, killed) {
		t.Fatal(err)
	}
	next, err := other.Due(ctx, t0.Add(time.Second))
	if err != nil || next != t0.Add(30*time.Second) || len(reg.order) != 0 {
		t.Errorf("next %v, %v, applied %d", next, err, len(reg.order))
	}
	if next, err = other.Due(ctx, next); err != nil || !next.IsZero() || len(reg.order) != 2 {
		t.Errorf("next %v, %v, applied %d", next, err, len(reg.order))
	}
}

func TestARecalledBatchLeavesAgainWithTheSameIDs(t *testing.T) {
	ctx := t.Context()
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	acceptMany(t, j, 4)
	reg := newRegular(t)
	h := reg.handover(j)
	reg.loses(func() bool { return true })
	if _, err := h.Due(ctx, t0); err == nil {
		t.Fatal("a lost answer was not noticed")
	}
	must(t, h.Recall(ctx, t0, actor, "anderer Weg"))
	reg.loses(never)
	drain(t, h)
	if len(reg.order) != 4 || counts(t, j).HandedOver != 4 {
		t.Errorf("applied %d, counts %+v", len(reg.order), counts(t, j))
	}
}

// A crash can come at every durable step, with answers lost and items coming in
// meanwhile: nothing is lost, nothing done twice, the order stays.
func TestCrashesAtEveryStepLoseAndDoubleNothing(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	j := r.journal(t)
	reg := newRegular(t)
	rng := rand.New(rand.NewPCG(7, 7))
	losses := rand.New(rand.NewPCG(8, 8))
	reg.loses(func() bool { return losses.IntN(20) == 0 })
	killed := errors.New("killed")
	crashes := map[string]int{}
	var want []string
	now := t0
	for i := range 80 {
		keys := []string{fmt.Sprint("k", i, "a"), fmt.Sprint("k", i, "b")}
		accept(t, j, keys...)
		want = append(want, "body of "+keys[0], "body of "+keys[1])
		h := reg.handover(j)
		h.MaxItems = 1 + rng.IntN(5)
		h.Hook = func(point string) error {
			if rng.IntN(4) == 0 {
				crashes[point]++
				return killed
			}
			return nil
		}
		now = now.Add(time.Minute)
		_, err := h.Due(t.Context(), now)
		if errors.Is(err, killed) && i%10 == 0 { // a new process opens the store
			must(t, r.Close())
			r.start(t)
			j, err = r.Open(t.Context(), kasse)
			must(t, err)
		}
	}
	h := reg.handover(j)
	for range 1000 {
		now = now.Add(time.Minute)
		if next, err := h.Due(t.Context(), now); err == nil && next.IsZero() {
			break
		}
	}
	if len(crashes) != 3 {
		t.Errorf("crashes only at %v", crashes)
	}
	if !slices.Equal(reg.order, want) {
		t.Errorf("applied %d of %d, or in another order", len(reg.order), len(want))
	}
	for id, n := range reg.effects {
		if n != 1 {
			t.Errorf("item %s had %d effects", id, n)
		}
	}
	if c := counts(t, j); c.HandedOver != int64(len(want)) || c.Open != 0 {
		t.Errorf("counts %+v", c)
	}
	verify(t, j)
}

func TestNothingOvertakesAnUnreadItem(t *testing.T) {
	ctx := t.Context()
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	unread := draft("u")
	unread.Unread = true
	_, err := j.Accept(ctx, place, 1, t0, actor, draft("1"), unread, draft("2"))
	must(t, err)
	reg := newRegular(t)
	drain(t, reg.handover(j))
	if len(reg.order) != 1 {
		t.Errorf("handed over %q", reg.order)
	}
	must(t, j.Apply(ctx, emergency.Entry{At: t0, Actor: actor, Kind: "item.read"}, emergency.Change{
		Number: 2, Apply: func(s emergency.Standing) (emergency.Standing, error) { return s.Ready(emergency.KindSickNote, "") },
	}))
	drain(t, reg.handover(j))
	if len(reg.order) != 3 {
		t.Errorf("handed over %q", reg.order)
	}
}

func TestABodyThatDoesNotOpenGetsAnOwnerAndStopsNobody(t *testing.T) {
	ctx := t.Context()
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	acceptMany(t, j, 3)
	must(t, j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `update journal_body set sealed = (select sealed from journal_body where number = 1) where number = 2`)
		return err
	}))
	reg := newRegular(t)
	drain(t, reg.handover(j))
	it, err := j.Item(ctx, 2)
	must(t, err)
	if len(reg.order) != 2 || it.State != emergency.Rejected || it.Owner != "Fachteam eAU" {
		t.Errorf("handed over %q, item %+v", reg.order, it)
	}
}

func TestReceiversRefuseWhatIsNotWhole(t *testing.T) {
	reg := newRegular(t)
	for name, tc := range map[string]struct {
		body, key, token string
		want             int
	}{
		"no token": {`{}`, "b", "", 401},
		"no JSON":  {`{`, "b", "geheim", 400},
		"no key":   {`{"version":1,"kasse":"1","batch":"b","items":[{"id":"x"}]}`, "", "geheim", 400},
		"bad hash": {`{"version":1,"kasse":"1","batch":"b","items":[{"id":"x","sha256":"00","body":"YQ=="}]}`, "b", "geheim", 400},
		"newer":    {`{"version":2,"kasse":"1","batch":"b","items":[{"id":"x"}]}`, "b", "geheim", 400},
	} {
		req := httptest.NewRequest(http.MethodPost, "/parcels", strings.NewReader(tc.body))
		req.Header.Set("Idempotency-Key", tc.key)
		req.Header.Set("Authorization", "Bearer "+tc.token)
		w := httptest.NewRecorder()
		reg.recv.Handler().ServeHTTP(w, req)
		if w.Code != tc.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// dump writes records as a reader of the ledger sees them.
func dump(records []ledger.Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%d %s %s %s %s", r.Seq, r.Kind, r.Subject, r.Reason, r.Data)
		for _, row := range r.Rows {
			fmt.Fprintf(&b, " %s %s %s", row.Table, row.Key, row.Value)
		}
	}
	return b.String()
}

func TestErasingNeedsReconciliationAndIsProven(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		ctx := t.Context()
		j := newRoom(t, where).journal(t)
		acceptMany(t, j, 3)
		late := t0.Add(time.Hour)
		if n, err := j.Erase(ctx, late, late, actor, "Frist"); n != 0 || err != nil {
			t.Errorf("erased %d before the handover, %v", n, err)
		}
		reg := newRegular(t)
		h := reg.handover(j)
		drain(t, h)
		if n, err := j.Erase(ctx, late, late, actor, "Frist"); n != 0 || err != nil {
			t.Errorf("erased %d before reconciliation, %v", n, err)
		}
		_, err := h.Reconcile(ctx, t0, actor)
		must(t, err)
		if n, err := j.Erase(ctx, t0, late, actor, "Frist"); n != 0 || err != nil {
			t.Errorf("erased %d before the time, %v", n, err)
		}
		if n, err := j.Erase(ctx, late, late, actor, "Frist"); n != 3 || err != nil {
			t.Errorf("erased %d, %v", n, err)
		}
		it, err := j.Item(ctx, 1)
		must(t, err)
		if _, err := j.Body(ctx, it); !errors.Is(err, emergency.ErrErased) {
			t.Errorf("body after erasing: %v", err)
		}
		verify(t, j)
	})
}

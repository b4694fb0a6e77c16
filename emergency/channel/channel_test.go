package channel_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/channel"
	"leitstand/pure/seal"
)

const (
	kasse = catalogue.KasseID("109034270")
	place = catalogue.PlacementID("109034270/eau/munich")
)

var t0 = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

// books is a regular system.
type books struct {
	mu    sync.Mutex
	have  map[string]emergency.ListEntry
	order []string
	later bool // says first only that it has the items
}

func (b *books) Receive(_ context.Context, p emergency.Parcel) (emergency.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rec emergency.Receipt
	for _, it := range p.Items {
		result := emergency.Applied
		if _, known := b.have[it.ID]; !known {
			b.have[it.ID] = emergency.ListEntry{ID: it.ID, Kind: it.Kind, Result: emergency.Applied, SHA256: it.SHA256, Amount: it.Amount}
			b.order = append(b.order, string(it.Body))
			if b.later {
				result = emergency.Receipted
			}
		}
		rec.Items = append(rec.Items, emergency.ReceiptItem{ID: it.ID, SHA256: it.SHA256, Result: result})
	}
	return rec, nil
}

func (b *books) List(_ context.Context, q emergency.ListQuery) ([]emergency.ListEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []emergency.ListEntry
	for id, e := range b.have {
		if strings.HasPrefix(id, q.Bucket) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (b *books) Compare(ctx context.Context, _ emergency.Comparison) ([]emergency.Line, error) {
	all, err := b.List(ctx, emergency.ListQuery{})
	return emergency.Sum(all), err
}

// world is a journal, a regular system, and the keys of both sides.
type world struct {
	journal  *emergency.Journal
	books    *books
	receiver *emergency.Receiver
	ours     channel.Keys
	theirs   channel.Keys
	now      time.Time
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T, items int) *world {
	t.Helper()
	dir := t.TempDir()
	key, err := ledger.LoadKey(dir)
	must(t, err)
	js := emergency.NewJournals(emergency.Config{Place: db.InDir(dir), Key: key})
	t.Cleanup(func() { _ = js.Close() })
	master := seal.NewMaster()
	must(t, js.Provision(t.Context(), kasse, t0, "anna", master))
	js.Unlock(master)
	w := &world{books: &books{have: map[string]emergency.ListEntry{}}, now: t0}
	w.journal, err = js.Open(t.Context(), kasse)
	must(t, err)
	must(t, w.journal.OpenBook(t.Context(), place, 1, t0, "anna"))
	for i := range items {
		_, err := w.journal.Accept(t.Context(), place, 1, t0, "anna", emergency.Draft{
			Key: fmt.Sprint("k", i), Kind: emergency.KindMessage, Source: "test", Received: t0, Media: "text/plain", Body: fmt.Appendf(nil, "Nachricht %d", i),
		})
		must(t, err)
	}
	own, err := age.GenerateX25519Identity()
	must(t, err)
	other, err := age.GenerateX25519Identity()
	must(t, err)
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	rpub, rpriv, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	w.ours = channel.Keys{Own: own, Other: other.Recipient(), Sign: priv, Peer: rpub}
	w.theirs = channel.Keys{Own: other, Other: own.Recipient(), Sign: rpriv, Peer: pub}
	w.receiver = &emergency.Receiver{Name: "Regelsystem", Key: rpriv, Receiving: w.books}
	return w
}

// through hands everything over and compares: the sender asks, the receiver's
// desk answers when it comes round, and so on.
func (w *world) through(t *testing.T, ours, theirs channel.Carrier) {
	t.Helper()
	h := &emergency.Handover{
		Journal: w.journal, Placement: place, Receiver: w.ours.Peer, Owner: "Fachteam", Holder: "node1", MaxItems: 4,
		Channel: &channel.Files{Carrier: ours, Keys: w.ours},
	}
	desk := &channel.Desk{Receiver: w.receiver, Carrier: theirs, Keys: w.theirs}
	pending := 0
	for range 40 {
		next, err := h.Due(t.Context(), w.now)
		if err == nil && next.IsZero() {
			break
		}
		if err != nil && !errors.Is(err, emergency.ErrPending) {
			t.Fatal(err)
		}
		pending++
		_, err = desk.Due(t.Context())
		must(t, err)
		w.now = w.now.Add(2 * time.Minute)
	}
	if pending == 0 {
		t.Error("nothing was ever pending: the channel was not used")
	}
	if out := w.compare(t, h, desk); !out.Agrees {
		t.Errorf("comparison: %+v", out)
	}
	c, err := w.journal.CountsOf(t.Context(), place)
	must(t, err)
	want := make([]string, c.Taken)
	for i := range want {
		want[i] = fmt.Sprintf("Nachricht %d", i)
	}
	if c.Open != 0 || c.Reconciled != c.Taken || !slices.Equal(w.books.order, want) {
		t.Errorf("%+v, applied %q", c, w.books.order)
	}
}

func (w *world) compare(t *testing.T, h *emergency.Handover, desk *channel.Desk) emergency.Outcome {
	t.Helper()
	for range 5 {
		out, err := h.Reconcile(t.Context(), w.now, "anna")
		if err == nil {
			return out
		}
		if !errors.Is(err, emergency.ErrPending) {
			t.Fatal(err)
		}
		_, err = desk.Due(t.Context())
		must(t, err)
	}
	t.Fatal("the comparison never came back")
	return emergency.Outcome{}
}

func sticks(t *testing.T) (ours, theirs *channel.Stick) {
	t.Helper()
	dir := t.TempDir()
	return &channel.Stick{Dir: dir, Out: channel.ToRegular, In: channel.FromRegular}, &channel.Stick{Dir: dir, Out: channel.FromRegular, In: channel.ToRegular}
}

func TestAStickCarriesAHandoverThereAndBack(t *testing.T) {
	w := newWorld(t, 10)
	ours, theirs := sticks(t)
	w.through(t, ours, theirs)
}

func TestAReceiverThatAppliesLaterIsAskedAgainOnASlowChannel(t *testing.T) {
	w := newWorld(t, 6)
	w.books.later = true
	ours, theirs := sticks(t)
	w.through(t, ours, theirs)
}

func TestDifferencesComeOverASlowChannelAndTheNextComparisonAsksAnew(t *testing.T) {
	w := newWorld(t, 5)
	ours, theirs := sticks(t)
	w.through(t, ours, theirs)
	h := &emergency.Handover{Journal: w.journal, Placement: place, Receiver: w.ours.Peer, Owner: "x", Holder: "n", Channel: &channel.Files{Carrier: ours, Keys: w.ours}}
	desk := &channel.Desk{Receiver: w.receiver, Carrier: theirs, Keys: w.theirs}
	var id string
	var kept emergency.ListEntry
	for id, kept = range w.books.have {
		break
	}
	delete(w.books.have, id)
	out := w.compare(t, h, desk)
	if out.Agrees || len(out.Differences) != 1 || out.Differences[0].ID != id || out.Differences[0].What != "missing" {
		t.Errorf("%+v", out)
	}
	w.books.have[id] = kept
	if out = w.compare(t, h, desk); !out.Agrees {
		t.Errorf("after the correction: %+v", out)
	}
}

func TestNothingOnAStickIsInClearOrCanBeForged(t *testing.T) {
	w := newWorld(t, 3)
	ours, theirs := sticks(t)
	files := &channel.Files{Carrier: ours, Keys: w.ours}
	h := &emergency.Handover{Journal: w.journal, Placement: place, Receiver: w.ours.Peer, Owner: "x", Holder: "n", Channel: files}
	if _, err := h.Due(t.Context(), t0); !errors.Is(err, emergency.ErrPending) {
		t.Fatal(err)
	}
	names, err := theirs.Names(t.Context())
	must(t, err)
	if len(names) != 1 {
		t.Fatalf("on the stick: %q", names)
	}
	file := filepath.Join(theirs.Dir, channel.ToRegular, names[0])
	content, err := os.ReadFile(file)
	must(t, err)
	if strings.Contains(string(content), "Nachricht") || !strings.HasPrefix(string(content), "age-encryption.org/v1") {
		t.Error("a parcel lies on the stick in clear")
	}
	stranger := w.theirs
	stranger.Peer = w.ours.Peer // not who sent it
	desk := &channel.Desk{Receiver: w.receiver, Carrier: theirs, Keys: stranger}
	if n, err := desk.Due(t.Context()); n != 0 || !errors.Is(err, channel.ErrForged) {
		t.Errorf("a parcel of somebody else: %d, %v", n, err)
	}
	content[len(content)/2] ^= 1
	must(t, os.WriteFile(file, content, 0o600))
	desk.Keys = w.theirs
	if n, err := desk.Due(t.Context()); n != 0 || err == nil {
		t.Errorf("an altered parcel: %d, %v", n, err)
	}
	must(t, os.Remove(file))
	if _, err := h.Due(t.Context(), t0.Add(time.Hour)); !errors.Is(err, emergency.ErrPending) {
		t.Errorf("asked again: %v", err)
	}
	ours.Dir = filepath.Join(ours.Dir, "fort")
	if _, err := h.Due(t.Context(), t0.Add(2*time.Hour)); !errors.Is(err, channel.ErrNoStick) {
		t.Errorf("without the stick: %v", err)
	}
}

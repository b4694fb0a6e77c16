package emergency_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// TestAReceiverIsAskedAgainWhatCameOfABatch: what it only kept at first is settled
// without anybody's help, also when part of a batch was applied at once.
func TestAReceiverIsAskedAgainWhatCameOfABatch(t *testing.T) {
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	acceptMany(t, j, 4)
	reg := newRegular(t)
	reg.wrong = func(r emergency.Receipt) emergency.Receipt {
		r.Items[1].Result, r.Items[2].Result = emergency.Receipted, emergency.Receipted
		return r
	}
	h := reg.handover(j)
	next, err := h.Due(t.Context(), t0)
	if c := counts(t, j); err != nil || c.Open != 2 || c.HandedOver != 2 || !next.After(t0) {
		t.Errorf("%+v, next %s, %v", c, next, err)
	}
	if again, err := h.Due(t.Context(), t0); err != nil || !again.Equal(next) {
		t.Errorf("asked at once: %s, %v", again, err)
	}
	reg.wrong = func(r emergency.Receipt) emergency.Receipt {
		r.Items[0].Result = emergency.Rejected // it was applied before
		return r
	}
	if _, err := h.Due(t.Context(), next); !errors.Is(err, emergency.ErrReceipt) {
		t.Errorf("a receipt that takes something back: %v", err)
	}
	reg.wrong = nil
	if last, err := h.Due(t.Context(), next.Add(time.Hour)); err != nil || !last.IsZero() {
		t.Errorf("next %s, %v", last, err)
	}
	out, err := h.Reconcile(t.Context(), t0, actor)
	if err != nil || !out.Agrees || counts(t, j).Reconciled != 4 {
		t.Errorf("%+v %v", out, err)
	}
	verify(t, j)
}

// conflicted is a receiver whose record was changed before the cut: it applies
// an item with a basis only over the version that it names.
type conflicted struct {
	*regular
	theirs emergency.Version
}

func (c *conflicted) Receive(ctx context.Context, p emergency.Parcel) (emergency.Receipt, error) {
	c.judge = func(it emergency.ParcelItem) (emergency.State, string) {
		if it.Basis == "" || it.Over == c.theirs.SHA256 {
			return emergency.Applied, ""
		}
		return emergency.Rejected, emergency.CodeConflict
	}
	for _, it := range p.Items {
		if it.Over != "" {
			delete(c.have, it.ID)
		}
	}
	rec, err := c.regular.Receive(ctx, p)
	for i := range rec.Items {
		if rec.Items[i].Code == emergency.CodeConflict {
			rec.Items[i].Theirs = &c.theirs
		}
	}
	return rec, err
}

func version(text string) emergency.Version {
	sum := sha256.Sum256([]byte(text))
	return emergency.Version{At: t0.Add(-time.Hour), Media: "text/plain", SHA256: hex.EncodeToString(sum[:]), Body: []byte(text)}
}

func TestAConflictShowsBothVersionsAndAPersonDecides(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		ctx := t.Context()
		j := newRoom(t, where).journal(t)
		drafts := []emergency.Draft{draft("free"), draft("ours"), draft("theirs"), draft("merged")}
		for i := range drafts[1:] {
			drafts[i+1].Basis = "stand-2026-05-03"
		}
		_, err := j.Accept(ctx, place, 1, t0, actor, drafts...)
		must(t, err)
		reg := newRegular(t)
		c := &conflicted{regular: reg, theirs: version("geändert vor der Trennung: Frau Muster")}
		reg.recv.Receiving = c
		h := reg.handover(j)
		drain(t, h)
		if n := counts(t, j); n.Rejected != 3 || n.HandedOver != 1 || n.Ownerless != 0 {
			t.Errorf("counts %+v", n)
		}
		if _, err := h.Reconcile(ctx, t0, actor); !errors.Is(err, emergency.ErrConflicts) {
			t.Errorf("compared with undecided conflicts: %v", err)
		}
		all, err := j.Conflicts(ctx, place)
		must(t, err)
		if len(all) != 3 || all[0].Basis != "stand-2026-05-03" || all[0].Decision != emergency.Undecided {
			t.Fatalf("conflicts %+v", all)
		}
		both, err := j.ReadConflict(ctx, all[0].Number, t0, actor, "Entscheidung vorbereiten", nil)
		must(t, err)
		if string(both.Ours) != "body of ours" || !strings.Contains(string(both.Theirs.Body), "Frau Muster") {
			t.Errorf("%+v", both)
		}
		if _, err := j.ReadConflict(ctx, 1, t0, actor, "x", nil); !errors.Is(err, emergency.ErrNoConflict) {
			t.Errorf("an item without conflict: %v", err)
		}
		for i, d := range []emergency.Decision{emergency.Ours, emergency.Theirs, emergency.Merged} {
			if err := j.Decide(ctx, t0, actor, "", all[i].Number, d); err == nil {
				t.Error("decided without a reason")
			}
			must(t, j.Decide(ctx, t0, actor, "mit der Versicherten geklärt", all[i].Number, d))
			if err := j.Decide(ctx, t0, actor, "anders", all[i].Number, emergency.Theirs); !errors.Is(err, emergency.ErrNoConflict) {
				t.Errorf("decided twice: %v", err)
			}
		}
		if n := counts(t, j); n.Open != 1 {
			t.Errorf("counts after deciding %+v", n)
		}
		drain(t, h)
		out, err := h.Reconcile(ctx, t0, actor)
		if n := counts(t, j); err != nil || !out.Agrees || n.HandedOver != 2 || n.Rejected != 2 || n.Reconciled != 4 {
			t.Errorf("%+v, %+v, %v", out, n, err)
		}
		records, err := ledger.Read(ctx, j.Store(), 0, 1000)
		must(t, err)
		if text := dump(records); strings.Contains(text, "Muster") || !strings.Contains(text, "conflict.decided") {
			t.Error("the ledger names an insured person, or does not name the decision")
		}
		verify(t, j)
	})
}

func TestAConflictWithADamagedVersionIsNotBelieved(t *testing.T) {
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	d := draft("x")
	d.Basis = "stand"
	_, err := j.Accept(t.Context(), place, 1, t0, actor, d)
	must(t, err)
	reg := newRegular(t)
	c := &conflicted{regular: reg, theirs: version("a")}
	c.theirs.Body = []byte("b")
	reg.recv.Receiving = c
	if _, err := reg.handover(j).Due(t.Context(), t0); !errors.Is(err, emergency.ErrReceipt) {
		t.Errorf("got %v", err)
	}
}

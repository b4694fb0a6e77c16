package notice_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/notice"
)

var t0 = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

func entry(kasse, service, word string) notice.Entry {
	return notice.Entry{
		Kasse: catalogue.KasseID(kasse), KasseName: "K" + kasse, Service: catalogue.ServiceID(service), Name: service, Word: word,
	}
}

func TestAKasseStandsInTheListOnce(t *testing.T) {
	_, err := notice.Prepare(notice.List{}, []notice.Entry{entry("1", "eau", "abgetrennt"), entry("1", "eau", "Notbetrieb")}, "erste Liste")
	if !errors.Is(err, notice.ErrTwice) {
		t.Errorf("a double entry: %v, want %v", err, notice.ErrTwice)
	}
}

func TestAVersionSaysWhatCameWentAndChanged(t *testing.T) {
	first, err := notice.Prepare(notice.List{}, []notice.Entry{entry("1", "eau", "abgetrennt"), entry("2", "eau", "abgetrennt")}, "erste Liste")
	if err != nil {
		t.Fatal(err)
	}
	second, err := notice.Prepare(first, []notice.Entry{entry("3", "eau", "abgetrennt"), entry("2", "eau", "Notbetrieb")}, "Stand Mittag")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range second.Changes {
		got = append(got, c.Kind+" "+string(c.Kasse)+" "+c.From+">"+c.To)
	}
	want := []string{"removed 1 abgetrennt>", "changed 2 abgetrennt>Notbetrieb", "added 3 >abgetrennt"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	if _, err := notice.Prepare(second, second.Entries, "noch einmal"); !errors.Is(err, notice.ErrNoChange) {
		t.Errorf("the same again: %v, want %v", err, notice.ErrNoChange)
	}
	if _, err := notice.Prepare(second, nil, " "); err == nil {
		t.Error("a version without a reason was accepted")
	}
}

func TestPublishingNeedsTwoPeopleAndTheNextNumber(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", ledger.Schema, notice.Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		l, err := notice.Prepare(notice.List{}, []notice.Entry{entry("1", "eau", "abgetrennt")}, "erste Liste")
		if err != nil {
			t.Fatal(err)
		}
		publish := func(first, second string, l notice.List) error {
			l.PublishedBy, l.SecondBy = first, second
			return d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := notice.Publish(ctx, tx, t0, l)
				return err
			})
		}
		if err := publish("pia", "pia", l); err == nil {
			t.Error("one person published alone")
		}
		if err := publish("pia", "anna", l); err != nil {
			t.Fatal(err)
		}
		if err := publish("pia", "anna", l); err == nil {
			t.Error("version 1 was published twice")
		}
		n := notice.Notice{
			Incident: "i", Audience: notice.Partners, Title: "eAU", Text: "Bitte nicht erneut senden.",
			Certainty: "Stand 9 Uhr", ReleasedBy: "pia", SecondBy: "pia",
		}
		release := func(n notice.Notice) error {
			return d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := notice.Release(ctx, tx, t0, n)
				return err
			})
		}
		if err := release(n); err == nil {
			t.Error("one person released a notice alone")
		}
		n.SecondBy = "anna"
		if err := release(n); err != nil {
			t.Fatal(err)
		}
		problems, err := ledger.VerifyState(t.Context(), d, notice.Keepers()...)
		if err != nil || len(problems) != 0 {
			t.Errorf("state %v %v", problems, err)
		}
	})
}

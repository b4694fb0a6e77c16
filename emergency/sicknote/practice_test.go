package sicknote_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
	"leitstand/pure/kimmail"
)

func TestPracticesAreCalledAboutWhatIsHeld(t *testing.T) {
	ctx := t.Context()
	r := newRoom(t, db.InDir(t.TempDir()))
	real1, real2 := certificate(1), certificate(2)
	real2.Organization.Name, real2.Organization.Phone = "Praxis Zwei", ""
	from := func(addr string) func(*kimmail.Draft) {
		return func(d *kimmail.Draft) {
			d.Test = false // real data in an exercise: held
			d.ReplyTo = kimmail.Address{Addr: addr}
		}
	}
	r.server.put(address, noteMail(t, 9), mail(t, kimmail.KindDelivery, real1.ID, noteXML(t, real1), from("eins@kim.example")),
		mail(t, kimmail.KindDelivery, real2.ID, noteXML(t, real2), from("zwei@kim.example")), torn(t, 3), []byte("no mail"))
	r.poll(t)
	act := sicknote.Act{At: t0, Actor: "anna", Reason: "Rückruf"}
	if _, err := r.intake.Practices(ctx, kasse, sicknote.Act{At: t0, Actor: "anna"}); err == nil {
		t.Error("opened without a reason")
	}
	got, err := r.intake.Practices(ctx, kasse, act)
	must(t, err)
	byMail := map[string]sicknote.Practice{}
	items := 0
	for _, p := range got {
		byMail[p.Mail] = p
		items += len(p.Items)
	}
	one := byMail["eins@kim.example"]
	if len(got) != 4 || items != 4 || one.Name != "Praxis Quacksalber" || one.Phone != "0301234567" || len(one.Address) != 2 ||
		one.Items[0].Document != real1.ID || one.Items[0].Owner != "Postkorb eAU" || byMail["praxis@praxis.kim.example"].Items[0].Code != "101" {
		t.Errorf("%+v", got)
	}
	s := sicknote.Sender{Kasse: "Testkasse", Phone: "030 1", Exercise: true, Day: t0}
	texts := []string{strings.Join(sicknote.CallList(got, s).Text(), "\n")}
	for i := range got {
		texts = append(texts, strings.Join(got[i].Letter(s).Text(), "\n"))
		var pdf bytes.Buffer
		if err := got[i].Letter(s).PDF(&pdf); err != nil || !bytes.HasPrefix(pdf.Bytes(), []byte("%PDF")) {
			t.Errorf("letter %d: %v", i, err)
		}
	}
	for _, want := range []string{"Praxis Zwei, ohne Telefonnummer", "Tel. 0301234567", real1.ID, "Fehlercode 101", "ÜBUNG"} {
		if !strings.Contains(texts[0], want) {
			t.Errorf("the call list does not say %q:\n%s", want, texts[0])
		}
	}
	for _, text := range texts {
		for _, secret := range []string{"Mustermann", "Erika", real1.Patient.KVNR, "J06"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q stands on a print:\n%s", secret, text)
			}
		}
	}
	records, err := ledger.About(ctx, r.journal(t).Store(), string(kasse), 100)
	must(t, err)
	if last := records[0]; last.Kind != "practices.listed" || last.Actor != "anna" || last.Reason != "Rückruf" || strings.Count(string(last.Data), "\"") != 10 {
		t.Errorf("on record: %+v", last)
	}
	r.journals.Lock()
	if _, err := r.intake.Practices(ctx, kasse, act); !errors.Is(err, emergency.ErrLocked) {
		t.Errorf("while locked: %v", err)
	}
}

func TestAHeldMailTurnsYellowThenRed(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	r.server.put(address, torn(t, 1), noteMail(t, 2))
	r.poll(t)
	list, err := r.intake.List(t.Context(), kasse, "", 0, 10)
	must(t, err)
	due := list[0].Deadline
	for _, step := range []struct {
		now           time.Time
		want          sicknote.Light
		soon, overdue int64
	}{
		{t0, sicknote.Green, 0, 0},
		{due.Add(-sicknote.Ahead - time.Second), sicknote.Green, 0, 0},
		{due.Add(-sicknote.Ahead), sicknote.Yellow, 1, 0},
		{due.Add(-time.Second), sicknote.Yellow, 1, 0},
		{due, sicknote.Red, 0, 1},
	} {
		s, err := r.intake.Status(t.Context(), kasse, step.now)
		must(t, err)
		if got := list[0].LightAt(step.now); got != step.want || s.DueSoon != step.soon || s.Overdue != step.overdue {
			t.Errorf("at %s: %q, soon %d, overdue %d", step.now, got, s.DueSoon, s.Overdue)
		}
	}
	if l := list[1].LightAt(due); l != "" {
		t.Errorf("an accepted mail is %q", l)
	}
}

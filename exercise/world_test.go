package exercise

import (
	"os"
	"testing"
	"time"
)

// TestTheOutsideWorldLosesNothing runs mail server, practices and regular systems
// as processes of their own, hour by hour, and compares the books. The fetchers
// stand still for a day in the middle. With LEITSTAND_LONG=1 it sends 10,000 sick notes.
func TestTheOutsideWorldLosesNothing(t *testing.T) {
	notes, step := 400, 4*time.Hour
	if os.Getenv("LEITSTAND_LONG") != "" {
		notes, step = 10_000, time.Hour
	}
	mail := MailConfig{Dir: t.TempDir(), Password: "geheim", Maildrops: []string{PracticeDomain}}
	regular := RegularConfig{Dir: t.TempDir(), Password: "geheim", Token: "token"}
	for _, k := range testKassen {
		mail.Maildrops = append(mail.Maildrops, KasseAddress(k.IK))
		regular.Kassen = append(regular.Kassen, RegularKasse{KasseSpec: k})
	}
	m := startTestPart(t, PartMail, mail)
	regular.POP3, regular.SMTP = m.Addr("pop3"), m.Addr("smtp")
	r := startTestPart(t, PartRegular, regular)
	practices := PracticesConfig{
		Seed: 3, Dir: t.TempDir(), SMTP: m.Addr("smtp"), POP3: m.Addr("pop3"), Password: "geheim",
		Kassen: testKassen, From: testFrom, Until: testUntil, Notes: notes,
	}
	p := startTestPart(t, PartPractices, practices)
	begin := time.Now()
	for at := testFrom; ; at = at.Add(step) {
		if mode, ok := map[int]FetcherMode{24: FetchOff, 48: FetchOn}[int(at.Sub(testFrom).Hours())]; ok {
			mustDo(t, r, "fetcher", FetcherCommand{Mode: mode})
		}
		for _, part := range []*Part{p, r} {
			if _, err := part.Advance(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		if at.After(testUntil) {
			break
		}
	}
	took := time.Since(begin)
	c := compareDirs(t, practices.Dir, regular.Dir)
	t.Logf("%d mails in %v: %.0f/s through practices, mail server and regular systems", c.Sent, took, float64(c.Sent)/took.Seconds())
	if c.Sent < notes || c.Lost+c.Doubled+c.Unknown+c.Refused > 0 || c.Accepted+c.Held+c.Duplicates != c.Sent {
		t.Errorf("books: %+v", c)
	}
	if twice, faulty := float64(c.Sent-c.Documents)/float64(c.Sent), float64(c.Held)/float64(c.Sent); twice < 0.01 || faulty < 0.005 {
		t.Errorf("%.2f %% came twice and %.2f %% were faulty, want at least 1 and 0.5", 100*twice, 100*faulty)
	}
}

func mustDo(t *testing.T, p *Part, do string, details any) {
	t.Helper()
	if _, err := p.Do(t.Context(), do, details); err != nil {
		t.Fatal(err)
	}
}

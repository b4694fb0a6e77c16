package sicknote_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
	"leitstand/pure/seal"

	"github.com/google/go-cmp/cmp"
)

const (
	kasse   = catalogue.KasseID("109034270")
	place   = catalogue.PlacementID("109034270/eau/munich")
	address = "eau@109034270.kim.example"
)

var t0 = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC) // a Friday

// room is a place with journals, a mail server and an intake in emergency operation.
type room struct {
	journals *emergency.Journals
	config   emergency.Config
	master   *seal.Master
	door     *door
	server   *popServer
	intake   *sicknote.Intake
	settings sicknote.Config
}

type door struct {
	shut  atomic.Bool
	epoch atomic.Int64
}

func (d *door) EmergencyDoor(catalogue.PlacementID) (bool, int64) {
	return !d.shut.Load(), d.epoch.Load()
}

func newRoom(t testing.TB, where db.Place, change ...func(*sicknote.Config)) *room {
	t.Helper()
	key, err := ledger.NewKey("leitstand/test")
	must(t, err)
	r := &room{
		master: seal.NewMaster(), door: &door{}, server: newPopServer(t, nil),
		config: emergency.Config{
			Place: where, Key: key, Index: emergency.IndexSecret{1}, Migrations: []db.Migrations{sicknote.Schema}, Keepers: sicknote.Keepers(),
		},
	}
	r.door.epoch.Store(1)
	r.settings = sicknote.Config{
		Door: r.door, Owner: func(catalogue.KasseID) string { return "Postkorb eAU" }, Exercise: true,
		Idle: 2 * time.Second, Session: 20 * time.Second,
		Mailboxes: []sicknote.Mailbox{{
			Kasse: kasse, Placement: place, Address: address, Addr: r.server.addr, Security: sicknote.PlainText, User: address, Password: "pw",
		}},
	}
	for _, c := range change {
		c(&r.settings)
	}
	r.start(t)
	must(t, r.journals.Provision(t.Context(), kasse, t0, "anna", r.master))
	must(t, r.journal(t).OpenBook(t.Context(), place, 1, t0, "anna"))
	return r
}

// start opens what a process opens.
func (r *room) start(t testing.TB) {
	t.Helper()
	r.journals = emergency.NewJournals(r.config)
	r.journals.Unlock(r.master)
	r.settings.Journals = r.journals
	in, err := sicknote.New(r.settings)
	must(t, err)
	r.intake = in
	journals := r.journals
	t.Cleanup(func() {
		in.Close()
		if err := journals.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (r *room) restart(t testing.TB) {
	t.Helper()
	r.intake.Close()
	must(t, r.journals.Close())
	r.start(t)
}

func (r *room) journal(t testing.TB) *emergency.Journal {
	t.Helper()
	j, err := r.journals.Open(t.Context(), kasse)
	must(t, err)
	return j
}

func (r *room) poll(t testing.TB) {
	t.Helper()
	must(t, r.intake.PollAll(t.Context(), t0))
}

// status checks the sums and the ledger before it returns.
func (r *room) status(t testing.TB) sicknote.Status {
	t.Helper()
	s, err := r.intake.Status(t.Context(), kasse, t0)
	must(t, err)
	if s.Stored != s.Unread+s.Accepted+s.Duplicates+s.Held+s.Refused+s.Test || s.Fetched != s.Stored+s.Refetched {
		t.Errorf("the figures do not add up: %+v", s)
	}
	j := r.journal(t)
	c, err := j.Counts(t.Context())
	must(t, err)
	if err := c.Check(); err != nil || c.Taken != s.Stored || c.Duplicates != s.Duplicates {
		t.Errorf("journal %+v and intake %+v differ: %v", c, s, err)
	}
	rep, err := j.Verify(t.Context())
	must(t, err)
	for _, p := range rep.Problems {
		t.Errorf("ledger: %s %d-%d: %s", p.Kind, p.From, p.To, p.Text)
	}
	return s
}

// certificate is a plain sick note; n makes it another one.
func certificate(n int) eau.Certificate {
	return eau.Certificate{
		ID: eau.NewID("test", fmt.Sprint(n)), Test: true, Date: "2026-11-20", Type: eau.Erst, LegalBasis: "00",
		Patient: eau.Patient{
			Name: eau.Name{Given: "Erika", Family: "Mustermann"}, KVNR: fmt.Sprintf("A%09d", n), BirthDate: "1970-01-01",
			Address: eau.Address{Street: "Hauptstraße", House: "1", ZIP: "80331", City: "München", Country: "D"},
		},
		Coverage: eau.Coverage{Type: "GKV", PayorIK: string(kasse), PayorName: "Testkasse", Status: "1", Group: "00", DMP: "00"},
		Author: eau.Practitioner{
			Name: eau.Name{Title: "Dr. med.", Given: "Hildegard", Family: "Quacksalber"}, Type: "00", Profession: "Hausärztin", LANR: "123456601",
		},
		Organization: eau.Organization{
			Name: "Praxis Quacksalber", BSNR: "721111100", Phone: "0301234567",
			Address: eau.Address{Street: "Nebenstraße", House: "2", ZIP: "80331", City: "München", Country: "D"},
		},
		Since: "2026-11-20", Until: "2026-11-27", Determined: "2026-11-20",
		Diagnoses: []eau.Diagnosis{{Code: "J06.9", Version: "2026", Certainty: "G"}},
	}
}

func noteXML(t testing.TB, c eau.Certificate) []byte {
	t.Helper()
	xml, err := eau.Write(c)
	must(t, err)
	return xml
}

var messages atomic.Int64

// mail wraps a document as a practice sends it, each time under a new Message-ID.
func mail(t testing.TB, kind kimmail.Kind, id string, xml []byte, change ...func(*kimmail.Draft)) []byte {
	t.Helper()
	d := kimmail.Draft{
		Kind: kind, Test: true, ID: id, MessageID: fmt.Sprintf("<%d@praxis.kim.example>", messages.Add(1)), Date: t0,
		From: kimmail.Address{Addr: "praxis@praxis.kim.example"}, To: []kimmail.Address{{Addr: address}},
		ReplyTo: kimmail.Address{Addr: "praxis@praxis.kim.example"}, Body: "Guten Tag", XML: xml, Delivered: true,
	}
	for _, c := range change {
		c(&d)
	}
	raw, err := kimmail.Compose(d)
	must(t, err)
	return raw
}

func noteMail(t testing.TB, n int) []byte {
	c := certificate(n)
	return mail(t, kimmail.KindDelivery, c.ID, noteXML(t, c))
}

func stornoMail(t testing.TB, n int) []byte {
	t.Helper()
	c := certificate(n)
	id := eau.NewID("test-storno", fmt.Sprint(n))
	xml, err := eau.WriteStorno(eau.Storno{ID: id, Test: true, Date: "2026-11-20", Author: c.Author, Organization: c.Organization, Cancels: "urn:uuid:" + c.ID})
	must(t, err)
	return mail(t, kimmail.KindCancellation, id, xml)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMailIsFetchedStoredDeletedAndRead(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		r := newRoom(t, where)
		for n := range 70 {
			r.server.put(address, noteMail(t, n))
		}
		r.poll(t)
		s := r.status(t)
		if s.Fetched != 70 || s.Accepted != 70 || s.Refetched != 0 || r.server.left(address) != 0 {
			t.Errorf("status %+v, left %d", s, r.server.left(address))
		}
		if retrs := r.server.retrs.Load(); retrs != 70 {
			t.Errorf("%d mails were fetched for 70", retrs)
		}
		it, body, err := r.journal(t).ReadBody(t.Context(), 3, t0, "anna", "Test")
		must(t, err)
		if it.Kind != emergency.KindSickNote || it.State != emergency.Pending || it.Subject == "" || !strings.Contains(string(body), "TEAU0_") {
			t.Errorf("item %+v", it)
		}
	})
}

func TestEveryMailIsCountedAsWhatItIs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		r := newRoom(t, where)
		twice := noteMail(t, 1)
		changed := certificate(1)
		changed.Until = "2026-11-30"
		foreign := certificate(2)
		foreign.Coverage.PayorIK = "104212505"
		broken := noteXML(t, certificate(3))
		id := func(n int) string { return certificate(n).ID }
		noPeriod := noteXML(t, certificate(4))
		begin, end := strings.Index(string(noPeriod), "<onsetPeriod>"), strings.Index(string(noPeriod), "</onsetPeriod>")
		noPeriod = append(noPeriod[:begin:begin], noPeriod[end+len("</onsetPeriod>"):]...)
		r.server.put(address,
			twice, twice, // the same mail delivered twice by the server
			mail(t, kimmail.KindDelivery, id(1), noteXML(t, certificate(1))), // sent again: other Message-ID
			mail(t, kimmail.KindDelivery, id(1), noteXML(t, changed)),        // same identifier, other content
			mail(t, kimmail.KindDelivery, id(2), noteXML(t, foreign)),        // another Kasse's IK
			mail(t, kimmail.KindDelivery, id(3), broken[:len(broken)/2]),
			mail(t, kimmail.KindDelivery, id(3), broken[:len(broken)/2]), // the same torn file again
			mail(t, kimmail.KindDelivery, id(4), noPeriod),
			mail(t, kimmail.KindDelivery, id(5), []byte("<html><body>404</body></html>")),
			[]byte("not a mail at all"),
			noteMail(t, 6), stornoMail(t, 6), // cancelled
			stornoMail(t, 7),                 // its eAU is not here
			stornoMail(t, 8), noteMail(t, 8), // cancelled before it came
			mail(t, kimmail.KindDelivery, id(9), noteXML(t, certificate(9)), func(d *kimmail.Draft) { d.Test = false }),
		)
		r.poll(t)
		s := r.status(t)
		s.Mailboxes, s.Oldest, s.PerMinute = nil, time.Time{}, 0
		want := sicknote.Status{
			Kasse: kasse, Fetched: 16, Stored: 16, Accepted: 7, Duplicates: 3, Held: 6, Storno: 3, Waiting: 1, Cancelled: 2, Reused: 1, Foreign: 1,
		}
		// notes 1, 1 changed, 2, 6, 8 and Stornos 6, 8 accepted; torn, no period, page, no mail, waiting Storno, real data held
		if diff := cmp.Diff(want, s); diff != "" {
			t.Error(diff)
		}
		mails, err := r.intake.List(t.Context(), kasse, sicknote.ClassHeld, 0, 100)
		must(t, err)
		for _, m := range mails {
			t.Log(m.Label, m.Kind, m.Reason)
			if m.Owner != "Postkorb eAU" || !m.Deadline.Equal(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)) || m.Reason == "" {
				t.Errorf("held mail %+v", m)
			}
		}
	})
}

func TestACutAtEveryStepLosesAndDoublesNothing(t *testing.T) {
	mails := [][]byte{noteMail(t, 1), noteMail(t, 2), stornoMail(t, 2)}
	for _, pipelining := range []bool{true, false} {
		step := int64(1)
		if !pipelining {
			step = 3 // the same conversation, only cut into more pieces
		}
		for cut := int64(1); ; cut += step {
			r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) { c.BatchMails = 2 })
			r.server.noPipelining = !pipelining
			r.server.put(address, mails...)
			r.server.cut.Store(cut)
			err := r.intake.PollAll(t.Context(), t0)
			if r.server.said.Load() < cut {
				if err != nil {
					t.Errorf("nothing was cut: %v", err)
				}
				if cut < 15 {
					t.Errorf("the conversation ended after %d answers", cut)
				}
				break
			}
			if err == nil && r.server.left(address) > 0 {
				t.Errorf("cut at answer %d: no error", cut)
			}
			r.server.cut.Store(0)
			r.poll(t)
			if s := r.status(t); s.Stored != 3 || s.Accepted != 3 || s.Cancelled != 1 || r.server.left(address) != 0 {
				t.Errorf("cut at answer %d: %+v, left %d", cut, s, r.server.left(address))
			}
		}
	}
}

func TestACrashAtEveryStepLosesAndDoublesNothing(t *testing.T) {
	killed := errors.New("killed")
	for _, point := range []string{"stored", "deleted", "read", "quit"} {
		t.Run(point, func(t *testing.T) {
			armed := true
			r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) {
				c.BatchMails = 2
				c.Hook = func(p string) error {
					if armed && p == point {
						return killed
					}
					return nil
				}
			})
			r.server.put(address, noteMail(t, 1), noteMail(t, 2), noteMail(t, 3))
			if err := r.intake.PollAll(t.Context(), t0); !errors.Is(err, killed) {
				t.Fatalf("got %v", err)
			}
			armed = false
			r.restart(t)
			r.poll(t)
			s := r.status(t)
			if s.Accepted != 3 || s.Stored != 3 || r.server.left(address) != 0 {
				t.Errorf("%+v, left %d", s, r.server.left(address))
			}
			if again := point != "quit"; again != (s.Refetched > 0) {
				t.Errorf("refetched %d", s.Refetched)
			}
		})
	}
}

func TestMailStoredWhileTheRoomIsLockedWaitsUnread(t *testing.T) {
	armed := true
	r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) {
		c.Hook = func(p string) error {
			if armed && p == "stored" {
				return errors.New("killed")
			}
			return nil
		}
	})
	r.server.put(address, noteMail(t, 1))
	if err := r.intake.PollAll(t.Context(), t0); err == nil {
		t.Fatal("no crash")
	}
	armed = false
	r.restart(t)
	r.journals.Lock()
	r.server.put(address, noteMail(t, 2)) // fetched and read in one go: needs no unlock
	r.poll(t)
	if s := r.status(t); s.Unread != 1 || s.Accepted != 1 || r.server.left(address) != 0 {
		t.Errorf("locked: %+v", s)
	}
	r.journals.Unlock(r.master)
	r.poll(t)
	if s := r.status(t); s.Unread != 0 || s.Accepted != 2 {
		t.Errorf("unlocked: %+v", s)
	}
}

func TestWhatWasTakenIsReadAfterTheDoorCloses(t *testing.T) {
	killed, armed := errors.New("killed"), true
	r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) {
		c.Hook = func(p string) error {
			if armed && p == "stored" {
				return killed
			}
			return nil
		}
	})
	r.server.put(address, noteMail(t, 1), noteMail(t, 2))
	if err := r.intake.PollAll(t.Context(), t0); !errors.Is(err, killed) {
		t.Fatalf("got %v", err)
	}
	armed = false
	r.restart(t)
	r.door.shut.Store(true)
	must(t, r.journal(t).DrainBook(t.Context(), place, 1, t0, "anna"))
	r.poll(t)
	if s := r.status(t); s.Unread != 0 || s.Accepted != 2 || r.server.left(address) != 2 {
		t.Errorf("%+v, %d on the server", s, r.server.left(address))
	}
}

func TestTheDoorIsObeyed(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	r.server.put(address, noteMail(t, 1))
	r.door.shut.Store(true)
	r.poll(t)
	if r.server.sessions.Load() != 0 {
		t.Error("the mailbox was looked into although the door is not the emergency door")
	}
	r.door.shut.Store(false)
	r.door.epoch.Store(7) // the journal is at epoch 1: we were passed over
	r.poll(t)
	if s := r.status(t); s.Stored != 0 || r.server.left(address) != 1 {
		t.Errorf("wrong epoch: %+v, left %d", s, r.server.left(address))
	}
	r.door.epoch.Store(1)
	must(t, r.journal(t).DrainBook(t.Context(), place, 1, t0, "anna"))
	r.poll(t)
	if s := r.status(t); s.Stored != 0 || r.server.left(address) != 1 {
		t.Errorf("draining: %+v, left %d", s, r.server.left(address))
	}
	must(t, r.journal(t).OpenBook(t.Context(), place, 1, t0, "anna"))
	r.poll(t)
	if s := r.status(t); s.Accepted != 1 || r.server.left(address) != 0 {
		t.Errorf("open: %+v", s)
	}
}

func TestServersThatLie(t *testing.T) {
	big := append(noteMail(t, 2), make([]byte, 300_000)...)
	for i := len(big) - 300_000; i < len(big); i++ {
		big[i] = 'x'
		if i%70 == 0 {
			big[i-1], big[i] = '\r', '\n'
		}
	}
	for name, lie := range map[string]func(int) int{
		"truth": func(n int) int { return n },
		"zero":  func(int) int { return 0 },
		"huge":  func(n int) int { return n * 3 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) { c.MaxMail = 200_000 })
			r.server.lie = lie
			r.server.put(address, noteMail(t, 1), big, noteMail(t, 3))
			for range 3 { // the session with the lie is lost, the others go on
				_ = r.intake.PollAll(t.Context(), t0)
			}
			s := r.status(t)
			if s.Accepted != 2 || s.Left != 1 || r.server.left(address) != 1 {
				t.Errorf("%+v, on the server %d", s, r.server.left(address))
			}
			r.server.mu.Lock()
			r.server.drops[address].mails = nil // a person took care of it
			r.server.mu.Unlock()
			r.poll(t)
			if s := r.status(t); s.Left != 0 {
				t.Errorf("after it is gone: %+v", s)
			}
		})
	}
}

func TestServersWithFewAbilities(t *testing.T) {
	for name, change := range map[string]func(*popServer){
		"no UIDL": func(s *popServer) { s.noUIDL = true }, "no CAPA": func(s *popServer) { s.noCAPA = true },
		"no pipelining": func(s *popServer) { s.noPipelining = true },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, db.InDir(t.TempDir()))
			change(r.server)
			r.server.put(address, noteMail(t, 1), noteMail(t, 2))
			r.poll(t)
			if s := r.status(t); s.Accepted != 2 || r.server.left(address) != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestASlowMailboxDelaysNoOther(t *testing.T) {
	slow := newPopServer(t, nil)
	slow.silent.Store(true)
	r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) {
		for i := range 20 {
			m := c.Mailboxes[0]
			m.Address, m.Addr = fmt.Sprintf("slow%d@kim.example", i), slow.addr
			c.Mailboxes = append(c.Mailboxes, m)
		}
		c.Idle = time.Second
		c.Connections = 24
	})
	r.server.put(address, noteMail(t, 1))
	now := t0
	began := time.Now()
	for round := range 3 {
		next, err := r.intake.Due(t.Context(), now)
		must(t, err)
		if waited := time.Since(began); waited > 500*time.Millisecond {
			t.Fatalf("round %d: Due waited %s", round, waited)
		}
		for r.server.left(address) > 0 {
			time.Sleep(time.Millisecond)
			if time.Since(began) > 900*time.Millisecond {
				t.Fatal("the good mailbox waits for the slow ones")
			}
		}
		now = next
	}
}

func TestBackOffGrowsToTenMinutesAndEnds(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) { c.Mailboxes[0].Password = "wrong" })
	var pauses []time.Duration
	now := t0
	for range 7 {
		_, err := r.intake.Due(t.Context(), now)
		must(t, err)
		var s sicknote.Status
		for { // the look runs in the background
			s, err = r.intake.Status(t.Context(), kasse, now)
			must(t, err)
			if s.Mailboxes[0].Failures == len(pauses)+1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		pauses = append(pauses, s.Mailboxes[0].Next.Sub(now))
		if strings.Contains(s.Mailboxes[0].Problem, "wrong") || !strings.Contains(s.Mailboxes[0].Problem, "PASS") {
			t.Errorf("problem %q", s.Mailboxes[0].Problem)
		}
		now = s.Mailboxes[0].Next
	}
	m := time.Minute
	if diff := cmp.Diff([]time.Duration{m, 2 * m, 4 * m, 8 * m, 10 * m, 10 * m, 10 * m}, pauses); diff != "" {
		t.Error(diff)
	}
}

// The official bundles of the KBV, as files.
func TestOfficialBundlesAreKeptWhoeverPays(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/eau/1.2.1/bundles/valid/*.xml")
	must(t, err)
	if len(files) == 0 {
		t.Skip("no official bundles: suite left out")
	}
	r := newRoom(t, db.InDir(t.TempDir()))
	different := map[[32]byte]bool{}
	for i, f := range files {
		xml, err := os.ReadFile(f)
		must(t, err)
		different[sha256.Sum256(xml)] = true
		doc, err := eau.Read(xml)
		must(t, err)
		r.server.put(address, mail(t, kimmail.KindDelivery, strings.TrimPrefix(doc.Identifier, "urn:uuid:"), xml))
		if i == 10 {
			r.server.put(address, mail(t, kimmail.KindDelivery, eau.NewID("test", "torn"), xml[:len(xml)/3]))
		}
	}
	r.poll(t)
	s := r.status(t)
	if int(s.Accepted) != len(different) || int(s.Duplicates) != len(files)-len(different) || s.Held != 1 || s.Foreign == 0 || s.Reused == 0 {
		t.Errorf("%d files, %d different: %+v", len(files), len(different), s)
	}
}

func TestStopsWhenTheContextEnds(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	r.server.silent.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	began := time.Now()
	if err := r.intake.PollAll(ctx, t0); err == nil || time.Since(began) > time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

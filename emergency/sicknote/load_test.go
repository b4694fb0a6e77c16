package sicknote_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
	"leitstand/pure/seal"
)

// fleet is many Kassen with a mailbox each.
type fleet struct {
	kassen   []catalogue.KasseID
	journals *emergency.Journals
	config   sicknote.Config
	server   *popServer
}

func mailboxOf(k catalogue.KasseID) string { return "eau@" + string(k) + ".kim.example" }

func newFleet(t testing.TB, n int, where db.Place) *fleet {
	t.Helper()
	key, err := ledger.NewKey("leitstand/test")
	must(t, err)
	f := &fleet{server: newPopServer(t, nil), journals: emergency.NewJournals(emergency.Config{
		Place: where, Key: key, Migrations: []db.Migrations{sicknote.Schema}, Keepers: sicknote.Keepers(),
	})}
	master, d := seal.NewMaster(), &door{}
	d.epoch.Store(1)
	f.journals.Unlock(master)
	t.Cleanup(func() { must(t, f.journals.Close()) })
	f.config = sicknote.Config{Journals: f.journals, Door: d, Owner: func(catalogue.KasseID) string { return "Postkorb" }, Exercise: true, Check: fullCheck}
	for i := range n {
		k := catalogue.KasseID(fmt.Sprintf("1%08d", i))
		p := catalogue.PlacementOf(k, "eau", "munich")
		must(t, f.journals.Provision(t.Context(), k, t0, "anna", master))
		j, err := f.journals.Open(t.Context(), k)
		must(t, err)
		must(t, j.OpenBook(t.Context(), p, 1, t0, "anna"))
		f.kassen = append(f.kassen, k)
		f.config.Mailboxes = append(f.config.Mailboxes, sicknote.Mailbox{
			Kasse: k, Placement: p, Address: mailboxOf(k), Addr: f.server.addr, Security: sicknote.PlainText, User: mailboxOf(k), Password: "pw",
		})
	}
	return f
}

func fullCheck(xml []byte, _ time.Time) []sicknote.Fault {
	var out []sicknote.Fault
	for _, f := range eau.Check(xml, eau.Options{}).Findings {
		if f.Severity == eau.SeverityError {
			out = append(out, sicknote.Fault{Text: f.Text, Code: f.Code})
		}
	}
	return out
}

// mould makes any number of different mails of mean size from one, fast: the load
// test is not about writing mails.
type mould struct {
	head, xml, tail []byte
	id              string
}

func newMould(t testing.TB) *mould {
	t.Helper()
	c := certificate(0)
	for len(c.Diagnoses) < 6 {
		c.Diagnoses = append(c.Diagnoses, c.Diagnoses[0])
	}
	c.DiagnosisText = "Verdacht auf Überlastung durch Überstunden"
	m := &mould{id: c.ID, xml: noteXML(t, c)}
	if found := fullCheck(m.xml, t0); len(found) > 0 {
		t.Fatalf("the mail of the load test is faulty: %v", found)
	}
	raw := mail(t, kimmail.KindDelivery, c.ID, m.xml)
	encoded := raw[bytes.Index(raw, []byte(base64.StdEncoding.EncodeToString(m.xml[:30])[:40])):]
	end := bytes.Index(encoded, []byte("\r\n--"))
	m.head, m.tail = raw[:len(raw)-len(encoded)], encoded[end:]
	return m
}

func (m *mould) mail(n int) []byte {
	id := eau.NewID("load", strconv.Itoa(n))
	xml := bytes.ReplaceAll(m.xml, []byte(m.id), []byte(id))
	xml = bytes.ReplaceAll(xml, []byte("A000000000"), fmt.Appendf(nil, "A%09d", n))
	enc := base64.StdEncoding.EncodeToString(xml)
	out := make([]byte, 0, len(m.head)+len(enc)*78/76+len(m.tail)+100)
	out = append(out, bytes.ReplaceAll(m.head, []byte(m.id), []byte(id))...)
	at := bytes.Index(bytes.ToLower(out), []byte("message-id: <"))
	out = append(append(append([]byte(nil), out[:at+13]...), id+"."...), out[at+13:]...)
	for len(enc) > 76 {
		out = append(append(out, enc[:76]...), "\r\n"...)
		enc = enc[76:]
	}
	return append(append(out, enc...), m.tail...)
}

// stored is how many mails are durable.
func (f *fleet) stored(t testing.TB) (n int64) {
	t.Helper()
	for _, k := range f.kassen {
		j, err := f.journals.Open(t.Context(), k)
		must(t, err)
		var one int64
		must(t, j.Store().QueryRow(t.Context(), `select coalesce(max(number), 0) from journal_item`).Scan(&one))
		n += one
	}
	return n
}

// cpuTime is what this process has used of all processors.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bareInsert writes rows of one size into as many stores, as fast as they take it.
func bareInsert(t testing.TB, stores, rows, size int) float64 {
	t.Helper()
	where := db.InDir(t.TempDir())
	body := make([]byte, size)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range stores {
		d, err := where.Open(t.Context(), fmt.Sprintf("bare_%d", i), db.Migrations{Package: "bare", Steps: []string{`create table bare (n bigint primary key, b bytea not null)`}})
		must(t, err)
		defer func() { must(t, d.Close()) }()
		wg.Go(func() {
			for n := 0; n < rows/stores; n += 32 {
				err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					for k := range min(32, rows/stores-n) {
						if _, err := tx.Exec(ctx, `insert into bare (n, b) values ($1, $2)`, n+k, body); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return float64(rows) / time.Since(began).Seconds()
}

// TestLongLoadOfManyMailboxes fetches, keeps, opens and checks mail of 80 mailboxes. By itself it is
// small; LEITSTAND_LONG=1 makes it 40,000 mails and prints the figures.
func TestLongLoadOfManyMailboxes(t *testing.T) {
	boxes, mails := 4, 60
	if os.Getenv("LEITSTAND_LONG") != "" {
		boxes, mails = 80, 40_000
	}
	if n, err := strconv.Atoi(os.Getenv("LEITSTAND_LOAD_MAILS")); err == nil {
		boxes, mails = 80, n
	}
	f := newFleet(t, boxes, db.InDir(t.TempDir()))
	in, err := sicknote.New(f.config)
	must(t, err)
	defer in.Close()
	m := newMould(t)
	t.Logf("bundle %d bytes, mail %d bytes", len(m.xml), len(m.mail(1)))
	// The server makes the mails as they are fetched, or memory would be the limit.
	for i := range mails {
		f.server.putMade(mailboxOf(f.kassen[i%boxes]), func() []byte { return m.mail(i) }, len(m.mail(i)))
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	var half, full time.Duration
	began, cpu := time.Now(), cpuTime(t)
	wg.Go(func() {
		for !stop.Load() {
			if n := f.stored(t); half == 0 && n >= int64(mails/2) {
				half = time.Since(began)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	must(t, in.PollAll(t.Context(), t0))
	full, cpu = time.Since(began), cpuTime(t)-cpu
	stop.Store(true)
	wg.Wait()
	var sum sicknote.Status
	for _, k := range f.kassen {
		s, err := in.Status(t.Context(), k, t0)
		must(t, err)
		sum = sum.Add(s)
	}
	if int(sum.Accepted) != mails || int(sum.Stored) != mails {
		t.Errorf("%d mails: %+v", mails, sum)
	}
	rate := float64(mails) / full.Seconds()
	t.Logf("%d mailboxes, %d mails, %d cores: %.0f mails/s; first half %.0f/s, second half %.0f/s; %.2f ms of processor a mail, server included; 400,000 mails in %s",
		boxes, mails, runtime.GOMAXPROCS(0), rate, float64(mails)/2/half.Seconds(), float64(mails)/2/(full-half).Seconds(),
		cpu.Seconds()*1000/float64(mails), time.Duration(400_000/rate*float64(time.Second)).Round(time.Second))
	bare := bareInsert(t, boxes, mails, len(m.mail(1)))
	t.Logf("a bare durable insert of the same bytes, 32 a commit: %.0f/s, %.1f times as fast", bare, bare/rate)
}

package sicknote_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
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
	c.Steps = []eau.Step{{Code: "reha"}, {Code: "wiedereingliederung"}, {Code: "sonstige", Text: "Beratung durch den Sozialdienst"}}
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

// pace is how fast mails are done: opened and checked, which is the last thing
// before they are recorded. What is only stored does not count: at any moment a
// batch per mailbox is, and a rate of storing falls when no more come.
type pace struct {
	began time.Time
	mails int
	done  atomic.Int64
	parts [5]atomic.Int64 // when each fifth was done, in nanoseconds from began
}

// count wraps the check of a bundle.
func (p *pace) count(check func([]byte, time.Time) []sicknote.Fault) func([]byte, time.Time) []sicknote.Fault {
	return func(xml []byte, at time.Time) []sicknote.Fault {
		out := check(xml, at)
		if n := int(p.done.Add(1)); n*len(p.parts)%p.mails < len(p.parts) {
			if i := n*len(p.parts)/p.mails - 1; i >= 0 && i < len(p.parts) {
				p.parts[i].CompareAndSwap(0, int64(time.Since(p.began)))
			}
		}
		return out
	}
}

// String gives the rate of each fifth.
func (p *pace) String() string {
	var out []string
	last := time.Duration(0)
	for i := range p.parts {
		at := time.Duration(p.parts[i].Load())
		out = append(out, fmt.Sprintf("%.0f", float64(p.mails)/float64(len(p.parts))/(at-last).Seconds()))
		last = at
	}
	return strings.Join(out, " ")
}

// report says what a load cost.
func report(t *testing.T, in *sicknote.Intake, p *pace, boxes int, full, cpu time.Duration) float64 {
	t.Helper()
	rate := float64(p.mails) / full.Seconds()
	t.Logf("%d mailboxes, %d mails, %d processors: %.0f mails/s; by fifths %s mails/s; %.2f ms of processor a mail, server included; 400,000 mails in %s",
		boxes, p.mails, runtime.GOMAXPROCS(0), rate, p, cpu.Seconds()*1000/float64(p.mails), time.Duration(400_000/rate*float64(time.Second)).Round(time.Second))
	s := in.Stages()
	each := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()*1000/float64(p.mails)) }
	t.Logf("ms a mail in each stage, waiting for processors and the disk included, %d mailboxes at once: fetch %s, seal %s, store %s, delete %s, open and check %s, record %s",
		boxes, each(s.Fetch), each(s.Seal), each(s.Store), each(s.Delete), each(s.Read), each(s.Settle))
	return rate
}

// TestLongLoadOfManyMailboxes fetches, keeps, opens and checks mail of 80 mailboxes. By itself it is
// small; LEITSTAND_LONG=1 makes it 40,000 mails and prints the figures (make sicknote-load).
func TestLongLoadOfManyMailboxes(t *testing.T) {
	boxes, mails := 4, 60
	if os.Getenv("LEITSTAND_LONG") != "" {
		boxes, mails = 80, 40_000
	}
	if n, err := strconv.Atoi(os.Getenv("LEITSTAND_LOAD_MAILS")); err == nil {
		boxes, mails = 80, n
	}
	f := newFleet(t, boxes, db.InDir(t.TempDir()))
	p := &pace{mails: mails}
	f.config.Check = p.count(fullCheck)
	in, err := sicknote.New(f.config)
	must(t, err)
	defer in.Close()
	m := newMould(t)
	t.Logf("bundle %d bytes, mail %d bytes", len(m.xml), len(m.mail(1)))
	// The server makes the mails as they are fetched, or memory would be the limit.
	for i := range mails {
		f.server.putMade(mailboxOf(f.kassen[i%boxes]), func() []byte { return m.mail(i) }, len(m.mail(i)))
	}
	cpu := cpuTime(t)
	p.began = time.Now()
	must(t, in.PollAll(t.Context(), t0))
	full := time.Since(p.began)
	cpu = cpuTime(t) - cpu
	var sum sicknote.Status
	for _, k := range f.kassen {
		s, err := in.Status(t.Context(), k, t0)
		must(t, err)
		sum = sum.Add(s)
	}
	if int(sum.Accepted) != mails || int(sum.Stored) != mails {
		t.Errorf("%d mails: %+v", mails, sum)
	}
	rate := report(t, in, p, boxes, full, cpu)
	bare := bareInsert(t, boxes, mails, len(m.mail(1)))
	t.Logf("a bare durable insert of the same bytes, 32 a commit: %.0f/s, %.1f times as fast", bare, bare/rate)
}

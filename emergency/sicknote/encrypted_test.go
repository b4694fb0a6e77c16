package sicknote_test

import (
	"crypto/rand"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/emergency/sicknote"
	"leitstand/pure/kimmail"
)

// tiKeys are the keys of a practice and of a Kasse as cards of the
// Telematikinfrastruktur have them: brainpoolP256r1.
type tiKeys struct {
	signer  *kimmail.Identity
	sender  *kimmail.Certificate
	kasse   *kimmail.Certificate
	keyring *kimmail.Keyring
	other   *kimmail.Keyring // of somebody else
	trust   *kimmail.Trust
}

func newTIKeys(t testing.TB) *tiKeys {
	t.Helper()
	spec := kimmail.CertificateSpec{Organization: "TEST-ONLY", NotBefore: t0.AddDate(-1, 0, 0), NotAfter: t0.AddDate(1, 0, 0)}
	n := int64(0)
	issue := func(name string, ca, signing bool, mail string, issuer *kimmail.Identity) (*kimmail.Certificate, *kimmail.BrainpoolPrivateKey) {
		key, err := kimmail.GenerateBrainpoolKey(rand.Reader)
		must(t, err)
		s := spec
		n++
		s.CommonName, s.Serial, s.CA, s.ForSigning, s.PublicKey = name+" TEST-ONLY", n, ca, signing || ca, key.Public()
		if mail != "" {
			s.Emails = []string{mail}
		}
		if issuer == nil {
			issuer = &kimmail.Identity{Key: key}
		}
		cert, err := kimmail.IssueCertificate(s, issuer)
		must(t, err)
		return cert, key
	}
	caCert, caKey := issue("CA", true, false, "", nil)
	ca := &kimmail.Identity{Certificate: caCert, Key: caKey}
	k := &tiKeys{}
	cert, key := issue("Praxis OSIG", false, true, "praxis@praxis.kim.example", ca)
	k.signer = &kimmail.Identity{Certificate: cert, Key: key}
	k.sender, _ = issue("Praxis ENC", false, false, "praxis@praxis.kim.example", ca)
	var kasseKey *kimmail.BrainpoolPrivateKey
	k.kasse, kasseKey = issue("Kasse ENC", false, false, address, ca)
	var err error
	k.keyring, err = kimmail.NewKeyring(kimmail.KeyPair{Certificate: k.kasse, Key: kasseKey})
	must(t, err)
	otherCert, otherKey := issue("Andere ENC", false, false, "", ca)
	k.other, err = kimmail.NewKeyring(kimmail.KeyPair{Certificate: otherCert, Key: otherKey})
	must(t, err)
	k.trust, err = kimmail.NewTrust([][]byte{caCert.Raw}, nil)
	must(t, err)
	return k
}

// enveloped signs and encrypts a sick note as a Clientmodul does.
func (k *tiKeys) enveloped(t testing.TB, n int) []byte {
	t.Helper()
	c := certificate(n)
	clear := mail(t, kimmail.KindDelivery, c.ID, noteXML(t, c), func(d *kimmail.Draft) { d.Delivered, d.Signer = false, k.signer })
	raw, err := kimmail.Seal(kimmail.SealRequest{
		Mail: clear, Signer: k.signer, Time: t0,
		Recipients: []kimmail.SealRecipient{{Address: address, Certificate: k.kasse}, {Address: "praxis@praxis.kim.example", Certificate: k.sender}},
	})
	must(t, err)
	return raw
}

func TestEnvelopedMailIsOpenedWithTheMailboxsKeys(t *testing.T) {
	keys := newTIKeys(t)
	mails := [][]byte{keys.enveloped(t, 1), keys.enveloped(t, 2)}
	t.Run("its keys", func(t *testing.T) {
		r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) { c.Mailboxes[0].Keys, c.Trust = keys.keyring, keys.trust })
		r.server.put(address, mails...)
		r.poll(t)
		if s := r.status(t); s.Accepted != 2 || s.Unverified != 0 {
			list, _ := r.intake.List(t.Context(), kasse, "", 0, 10)
			t.Errorf("%+v %+v", s, list)
		}
	})
	t.Run("another's keys", func(t *testing.T) {
		r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) { c.Mailboxes[0].Keys = keys.other })
		r.server.put(address, mails...)
		r.poll(t)
		answers, _, err := r.intake.Prepared(t.Context(), kasse, "")
		must(t, err)
		if s := r.status(t); s.Held != 2 || len(answers) != 0 { // the key may be missing only here: nobody is told
			t.Errorf("%+v, prepared %+v", s, answers)
		}
	})
}

// awayKeys are out of reach while away, as a token is that somebody took out.
type awayKeys struct {
	kimmail.Decrypter
	away atomic.Bool
}

func (k *awayKeys) OpenTransportKey(r *kimmail.Recipient) ([]byte, error) {
	if k.away.Load() {
		return nil, errors.New("card removed")
	}
	return k.Decrypter.OpenTransportKey(r)
}

func TestMailWaitsForKeysThatAreOutOfReach(t *testing.T) {
	ti := newTIKeys(t)
	keys := &awayKeys{Decrypter: ti.keyring}
	keys.away.Store(true)
	r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) { c.Mailboxes[0].Keys, c.Trust = keys, ti.trust })
	r.server.put(address, ti.enveloped(t, 1), noteMail(t, 2))
	r.poll(t)
	if s := r.status(t); s.Unread != 1 || s.Accepted != 1 || r.server.left(address) != 0 {
		t.Errorf("while the keys are away: %+v", s)
	}
	keys.away.Store(false)
	must(t, r.intake.PollAll(t.Context(), t0.Add(time.Minute)))
	if s := r.status(t); s.Unread != 0 || s.Accepted != 2 || s.Held != 0 {
		t.Errorf("when they are back: %+v", s)
	}

	// After an hour somebody has to look after it; and nobody is told that it was faulty.
	keys.away.Store(true)
	r.server.put(address, ti.enveloped(t, 3))
	must(t, r.intake.PollAll(t.Context(), t0.Add(2*time.Minute)))
	must(t, r.intake.PollAll(t.Context(), t0.Add(time.Hour)))
	if s := r.status(t); s.Unread != 1 {
		t.Errorf("within the hour: %+v", s)
	}
	must(t, r.intake.PollAll(t.Context(), t0.Add(time.Hour+2*time.Minute)))
	answers, _, err := r.intake.Prepared(t.Context(), kasse, "")
	must(t, err)
	if s := r.status(t); s.Unread != 0 || s.Held != 1 || len(answers) != 0 {
		t.Errorf("after an hour: %+v, prepared %+v", s, answers)
	}
}

// laterKeys are those that a mailbox has now: none at first.
type laterKeys struct {
	now atomic.Pointer[kimmail.Keyring]
}

func (k *laterKeys) OpenTransportKey(r *kimmail.Recipient) ([]byte, error) {
	return k.now.Load().OpenTransportKey(r)
}

func TestHeldMailIsReadAgainWhenItsKeyComes(t *testing.T) {
	ti := newTIKeys(t)
	for name, again := range map[string]func(t *testing.T, r *room){
		"by itself": func(t *testing.T, r *room) {
			t.Helper()
			must(t, r.intake.PollAll(t.Context(), t0.Add(3*time.Minute)))
		},
		"by command": func(t *testing.T, r *room) {
			t.Helper()
			n, err := r.intake.RereadHeld(t.Context(), kasse, sicknote.Act{At: t0.Add(3 * time.Minute), Actor: "operator", Reason: "Schlüssel nachgeliefert"})
			if err != nil || n != 8 {
				t.Errorf("%d read, %v", n, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			keys := &laterKeys{}
			keys.now.Store(ti.other)
			r := newRoom(t, db.InDir(t.TempDir()), func(c *sicknote.Config) { c.Mailboxes[0].Keys, c.Trust = keys, ti.trust })
			mails := [][]byte{[]byte("Subject: kein Dokument\r\n\r\nx\r\n"), ti.enveloped(t, 1), ti.enveloped(t, 1)}
			for n := range 6 {
				mails = append(mails, ti.enveloped(t, 10+n))
			}
			r.server.put(address, mails...)
			r.poll(t)
			must(t, r.intake.PollAll(t.Context(), t0.Add(2*time.Minute))) // in vain: nothing changes
			if s := r.status(t); s.Held != 9 || s.Accepted+s.Duplicates != 0 {
				t.Fatalf("without the key: %+v", s)
			}
			keys.now.Store(ti.keyring)
			again(t, r)
			if s := r.status(t); s.Held != 1 || s.Accepted != 7 || s.Duplicates != 1 || s.Reused != 0 {
				t.Errorf("with the key: %+v", s)
			}
			report, err := r.journal(t).Verify(t.Context())
			if err != nil || len(report.Problems) > 0 {
				t.Errorf("%v %v", report.Problems, err)
			}
		})
	}
}

// TestLongLoadOfEnvelopedMail opens, checks and keeps signed and encrypted mail:
// one unwrapping and two signatures on brainpoolP256r1 each.
func TestLongLoadOfEnvelopedMail(t *testing.T) {
	boxes, mails := 2, 10
	if os.Getenv("LEITSTAND_LONG") != "" {
		boxes, mails = 40, 2000
	}
	keys := newTIKeys(t)
	f := newFleet(t, boxes, db.InDir(t.TempDir()))
	f.config.Trust = keys.trust
	p := &pace{mails: mails}
	f.config.Check = p.count(fullCheck)
	for i := range f.config.Mailboxes {
		f.config.Mailboxes[i].Keys = keys.keyring
	}
	in, err := sicknote.New(f.config)
	must(t, err)
	defer in.Close()
	size := 0
	for i := range mails {
		raw := keys.enveloped(t, i)
		size += len(raw)
		f.server.put(mailboxOf(f.kassen[i%boxes]), raw)
	}
	cpu := cpuTime(t)
	p.began = time.Now()
	must(t, in.PollAll(t.Context(), t0))
	took, cpu := time.Since(p.began), cpuTime(t)-cpu
	var sum sicknote.Status
	for _, k := range f.kassen {
		s, err := in.Status(t.Context(), k, t0)
		must(t, err)
		sum = sum.Add(s)
	}
	if int(sum.Accepted) != mails {
		t.Errorf("%+v", sum)
	}
	t.Logf("enveloped mails of %d bytes", size/mails)
	report(t, in, p, boxes, took, cpu)
}

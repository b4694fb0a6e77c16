package kimmail

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"
	"time"
)

// world is a small public key infrastructure on brainpoolP256r1 as cards have it,
// and one RSA recipient of the time before.
type world struct {
	ca         *Identity
	practice   *Identity // signs KIM mails (SMC-B, OSIG)
	doctor     *Identity // signs documents (HBA)
	kasse      KeyPair   // brainpoolP256r1
	kasseRSA   KeyPair
	sender     KeyPair // the practice's own encryption key
	trust      *Trust
	recipients []SealRecipient
}

const (
	kasseMail    = "eau@kasse-a.kim.telematik-test"
	practiceMail = "praxis@arzt.kim.telematik-test"
	practiceID   = "1-2030405"
)

var theWorld = sync.OnceValues(makeWorld)

func newWorld(t testing.TB) *world {
	t.Helper()
	w, err := theWorld()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func makeWorld() (*world, error) {
	w := new(world)
	serial := int64(1000)
	issue := func(name string, public crypto.PublicKey, change func(*CertificateSpec)) (*Certificate, error) {
		serial++
		spec := CertificateSpec{
			CommonName: name + " TEST-ONLY", Organization: "Probe NOT-VALID", Serial: serial, PublicKey: public,
			NotBefore: testTime.AddDate(-1, 0, 0), NotAfter: testTime.AddDate(4, 0, 0),
		}
		change(&spec)
		return IssueCertificate(spec, w.ca)
	}
	caKey, err := GenerateBrainpoolKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	w.ca = &Identity{Key: caKey}
	if w.ca.Certificate, err = issue("CA", caKey.Public(), func(s *CertificateSpec) { s.CA = true }); err != nil {
		return nil, err
	}
	signer := func(name, id string) (*Identity, error) {
		key, err := GenerateBrainpoolKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		cert, err := issue(name, key.Public(), func(s *CertificateSpec) { s.ForSigning, s.TelematikID = true, id })
		return &Identity{Certificate: cert, Key: key}, err
	}
	if w.practice, err = signer("Praxis", practiceID); err != nil {
		return nil, err
	}
	if w.doctor, err = signer("Ärztin", "1-99"); err != nil {
		return nil, err
	}
	for _, p := range []*KeyPair{&w.kasse, &w.sender} {
		key, err := GenerateBrainpoolKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		p.Key = key
		if p.Certificate, err = issue("Schlüssel", key.Public(), func(*CertificateSpec) {}); err != nil {
			return nil, err
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	w.kasseRSA.Key = rsaKey
	if w.kasseRSA.Certificate, err = issue("RSA", rsaKey.Public(), func(*CertificateSpec) {}); err != nil {
		return nil, err
	}
	w.recipients = []SealRecipient{{practiceMail, w.sender.Certificate}, {kasseMail, w.kasse.Certificate}}
	w.trust, err = NewTrust([][]byte{w.ca.Certificate.Raw}, nil)
	return w, err
}

func (w *world) ring(t testing.TB, pairs ...KeyPair) *Keyring {
	t.Helper()
	ring, err := NewKeyring(pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// draft is a sick note from the practice to the Kasse, signed by the doctor.
func (w *world) draft() Draft {
	d := testDraft()
	d.Delivered, d.Signer = false, w.doctor
	return d
}

func (w *world) seal(t testing.TB, mail []byte, change func(*SealRequest)) []byte {
	t.Helper()
	req := SealRequest{Mail: mail, Signer: w.practice, Recipients: w.recipients, Time: testTime, CMVersion: "PROBE_1.0.0-0"}
	if change != nil {
		change(&req)
	}
	raw, err := Seal(req)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (w *world) options(t testing.TB) Options {
	t.Helper()
	return Options{Keys: w.ring(t, w.kasse), Trust: w.trust, At: testTime.Add(time.Minute)}
}

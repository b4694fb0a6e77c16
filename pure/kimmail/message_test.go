package kimmail

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testTime = time.Date(2026, 4, 14, 9, 30, 0, 0, time.FixedZone("CEST", 7200))

const testXML = `<?xml version="1.0" encoding="UTF-8"?><Bundle xmlns="http://hl7.org/fhir"/>`

func testDraft() Draft {
	return Draft{
		Kind: KindDelivery, Test: true, ID: "3f1d9a52-0d6e-4a0c-9f26-6c1f4b2f7a10", MessageID: "<1@praxis.kim.telematik-test>",
		Date: testTime, From: Address{Name: "Praxis Dr. Jäger", Addr: "praxis@arzt.kim.telematik-test"},
		To:      []Address{{Addr: "eau@kasse-a.kim.telematik-test"}},
		ReplyTo: Address{Name: `Empfang "1"`, Addr: "antwort@arzt.kim.telematik-test"},
		XML:     []byte(testXML), Delivered: true,
	}
}

// p256Identity makes a self-signed identity on P-256.
func p256Identity(t testing.TB) *Identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "Praxis TEST-ONLY", Country: []string{"DE"}},
		NotBefore: testTime.AddDate(-1, 0, 0), NotAfter: testTime.AddDate(4, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, EmailAddresses: []string{"praxis@arzt.kim.telematik-test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Identity{Certificate: cert, Key: key}
}

func compose(t testing.TB, d Draft) []byte {
	t.Helper()
	raw, err := Compose(d)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func parse(t testing.TB, raw []byte) *Message {
	t.Helper()
	m, err := Parse(raw, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAComposedMailIsReadBack(t *testing.T) {
	for name, signer := range map[string]*Identity{"plain": nil, "in a CAdES container": p256Identity(t)} {
		t.Run(name, func(t *testing.T) {
			d := testDraft()
			d.Signer = signer
			m := parse(t, compose(t, d))
			if m.Form != FormClear || m.Kind() != KindDelivery || len(m.Defects) != 0 {
				t.Fatalf("form %v, kind %v, defects %q", m.Form, m.Kind(), m.Defects)
			}
			type header struct {
				Subject, MessageID, Service string
				From, ReplyTo, To           []Address
				Date                        time.Time
				Results                     Results
			}
			want := header{
				Subject: "TEAU0_" + d.ID, MessageID: d.MessageID, Service: "eAU;Lieferung;V1.2",
				From: []Address{d.From}, ReplyTo: []Address{d.ReplyTo}, To: d.To, Date: d.Date,
				Results: Results{Decryption: []string{"00"}, Integrity: []string{"01"}},
			}
			got := header{m.Subject, m.MessageID, m.Service.String(), m.From, m.ReplyTo, m.To, m.Date, m.Results}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if len(m.Documents) != 1 {
				t.Fatalf("%d documents", len(m.Documents))
			}
			doc := m.Documents[0]
			if string(doc.XML) != testXML || doc.Defect != "" || doc.Signed() != (signer != nil) {
				t.Errorf("document %+v", doc)
			}
			if len(m.Results.Faults()) != 0 {
				t.Errorf("faults %v", m.Results.Faults())
			}
		})
	}
}

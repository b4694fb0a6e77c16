package kimmail

import (
	"bytes"
	"testing"
)

// benchXML has the mean size of a sick note of version 1.2.
func benchXML() []byte {
	return append([]byte(testXML), bytes.Repeat([]byte("<!-- Füllung bis zur mittleren Größe einer eAU -->\n"), 464)...)
}

func benchDraft(w *world) Draft {
	d := w.draft()
	d.XML = benchXML()
	return d
}

// The usual case: decrypted by a Clientmodul, document in its container, not verified.
func BenchmarkParseDecryptedMail(b *testing.B) {
	w := newWorld(b)
	d := benchDraft(w)
	d.Delivered = true
	raw := compose(b, d)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if m, err := Parse(raw, Limits{}); err != nil || len(m.Documents) != 1 {
			b.Fatal(err)
		}
	}
}

// The same with the document's signature verified, certificate chain remembered.
func BenchmarkParseAndVerifyDecryptedMail(b *testing.B) {
	w := newWorld(b)
	d := benchDraft(w)
	d.Delivered = true
	raw := compose(b, d)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		m, err := Parse(raw, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if sig := m.Documents[0].Verify(w.trust, testTime); sig.State != SignatureTrusted {
			b.Fatal(sig.Detail)
		}
	}
}

// A mail as it travels: TI-ECIES, AES-GCM, signature of the practice, mail inside,
// signature of the document.
func BenchmarkOpenEncryptedMail(b *testing.B) {
	w := newWorld(b)
	mail := compose(b, benchDraft(w))
	for name, c := range map[string]struct {
		pair KeyPair
		to   []SealRecipient
	}{
		"ECIES": {w.kasse, w.recipients},
		"RSA":   {w.kasseRSA, []SealRecipient{{kasseMail, w.kasseRSA.Certificate}}},
	} {
		b.Run(name, func(b *testing.B) {
			raw := w.seal(b, mail, func(r *SealRequest) { r.Recipients = c.to })
			opt := w.options(b)
			opt.Keys = w.ring(b, c.pair)
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				m, err := Parse(raw, Limits{})
				if err != nil {
					b.Fatal(err)
				}
				o, err := m.Open(opt)
				if err != nil || o.Signature.State != SignatureTrusted {
					b.Fatal(err)
				}
				if sig := o.Inner.Documents[0].Verify(w.trust, testTime); sig.State != SignatureTrusted {
					b.Fatal(sig.Detail)
				}
			}
		})
	}
}

func BenchmarkCompose(b *testing.B) {
	w := newWorld(b)
	for name, signer := range map[string]*Identity{"plain": nil, "signed": w.doctor} {
		b.Run(name, func(b *testing.B) {
			d := benchDraft(w)
			d.Signer = signer
			for b.Loop() {
				if _, err := Compose(d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	w := newWorld(b)
	mail := compose(b, benchDraft(w))
	for b.Loop() {
		w.seal(b, mail, nil)
	}
}

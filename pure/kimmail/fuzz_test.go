package kimmail

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// The seeds come from our own writer; the kept corpus grows only from it too.

// FuzzMail reads any bytes as a mail, opens it with the keys at hand and verifies
// what it carries. Whatever comes: no panic, errors of the promised kinds, results
// that agree with themselves.
func FuzzMail(f *testing.F) {
	w := newWorld(f)
	d := w.draft()
	f.Add(compose(f, d))
	d.Signer, d.Body, d.Delivered = nil, "Text", true
	f.Add(compose(f, d))
	f.Add(w.seal(f, compose(f, w.draft()), nil))
	f.Add(nest(3))
	f.Add(crlf(nestedMail))
	opt := w.options(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Parse(raw, Limits{MailBytes: 1 << 20})
		if err != nil {
			checkKind(t, err)
			return
		}
		_ = m.Kind()
		_ = m.ReplyAddress()
		for i := range m.Parts {
			_ = m.Parts[i].Text()
		}
		for i := range m.Documents {
			if sig := m.Documents[i].Verify(w.trust, testTime); sig.State == SignatureTrusted && m.Documents[i].XML == nil {
				t.Error("trusted signature over nothing")
			}
		}
		if m.Form == FormClear {
			return
		}
		o, err := m.Open(opt)
		if err != nil {
			if _, ok := errors.AsType[*OpenError](err); !ok {
				checkKind(t, err)
			}
			return
		}
		if o.Inner == nil || o.Signature.State.Intact() != (o.Signature.State >= SignatureUntrusted) {
			t.Errorf("opened %+v", o)
		}
	})
}

func checkKind(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrLimit) && !errors.Is(err, ErrMalformed) {
		t.Errorf("error of no promised kind: %v", err)
	}
}

// FuzzCMS reads any bytes as BER, SignedData, envelope, certificate, cryptogram and
// PKCS#12. What becomes DER must stay the same when converted again.
func FuzzCMS(f *testing.F) {
	w := newWorld(f)
	der, err := signCMS(signRequest{content: []byte(testXML), time: testTime}, w.doctor)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(toBER(f, der))
	f.Add(w.doctor.Certificate.Raw)
	f.Add(parse(f, w.seal(f, compose(f, w.draft()), nil)).cms)
	public, ok := w.kasse.Certificate.PublicKey().(*BrainpoolKey)
	if !ok {
		f.Fatal("no brainpool key")
	}
	wrapped, err := sealECIES(testRand(1), make([]byte, 32), public)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wrapped)
	ring := w.ring(f, w.kasse)
	at := testTime.Add(time.Minute)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<18 {
			return
		}
		lim := DefaultLimits()
		if der, _, err := toDER(b, lim); err == nil {
			again, rest, err := toDER(der, lim)
			if err != nil || len(rest) != 0 || !bytes.Equal(again, der) {
				t.Errorf("DER changes when converted again: %v", err)
			}
		}
		if sd, err := readSignedData(b, lim); err == nil {
			sd.verify(w.trust, at)
		} else {
			checkKind(t, err)
		}
		if env, err := readEnvelope(b, lim); err == nil {
			if _, err := env.open(ring); err == nil && len(env.recipients) == 0 {
				t.Error("opened without a recipient")
			}
		} else {
			checkKind(t, err)
		}
		if c, err := ParseCertificate(b); err == nil {
			if again, err := ParseCertificate(c.Raw); err != nil || again.id != c.id {
				t.Errorf("certificate reads differently again: %v", err)
			}
		}
		if key, ok := w.kasse.Key.(Agreer); ok {
			if k, err := UnwrapECIES(key, b); err == nil && len(k) != transportKeyLen {
				t.Errorf("transport key of %d bytes", len(k))
			}
		}
		_, _ = salvageContent(b)
	})
}

package kimmail

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestASealedMailOpensForEveryRecipient(t *testing.T) {
	w := newWorld(t)
	both := append([]SealRecipient{{"alt@kasse-a.kim.telematik-test", w.kasseRSA.Certificate}}, w.recipients...)
	raw := w.seal(t, compose(t, w.draft()), func(r *SealRequest) { r.Recipients = both })
	for name, pair := range map[string]KeyPair{"elliptic curve": w.kasse, "RSA": w.kasseRSA, "the sender himself": w.sender} {
		m := parse(t, raw)
		if m.Form != FormEnveloped || m.Subject != "KOM-LE-Nachricht" || m.Kind() != KindDelivery || len(m.Documents) != 0 {
			t.Fatalf("outer mail: form %v, subject %q, kind %v", m.Form, m.Subject, m.Kind())
		}
		opt := w.options(t)
		opt.Keys = w.ring(t, pair)
		o, err := m.Open(opt)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o.Signature.State != SignatureTrusted || len(o.Findings) != 0 || o.Sender != SenderListed {
			t.Errorf("%s: %v %s, findings %v, sender %v", name, o.Signature.State, o.Signature.Detail, o.Findings, o.Sender)
		}
		doc := o.Inner.Documents[0]
		if string(doc.XML) != testXML {
			t.Errorf("%s: document %q", name, doc.XML)
		}
		if sig := doc.Verify(w.trust, testTime); sig.State != SignatureTrusted || sig.Signer.CommonName != "Ärztin TEST-ONLY" || !sig.Time.Equal(testTime) {
			t.Errorf("%s: document signature %v, %s", name, sig.State, sig.Detail)
		}
	}
}

func TestASignatureIsNeverTrustedWithoutAnchors(t *testing.T) {
	w := newWorld(t)
	raw := w.seal(t, compose(t, w.draft()), nil)
	empty, err := NewTrust(nil, [][]byte{w.ca.Certificate.Raw})
	if err != nil {
		t.Fatal(err)
	}
	for name, trust := range map[string]*Trust{"nil": nil, "no anchors": empty} {
		opt := w.options(t)
		opt.Trust = trust
		o, err := parse(t, raw).Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		if o.Signature.State != SignatureIntact || !strings.Contains(o.Signature.State.Text(), "Vertrauen nicht geprüft") {
			t.Errorf("%s: %v", name, o.Signature.State.Text())
		}
	}
}

// hostile rewrites the layers of a mail: it plays a sender, or somebody in between,
// who does one thing wrong.
type hostile struct {
	outer   func(header string) string
	signed  func(cms []byte) []byte // SignedData before encryption
	mail    func(mail []byte) []byte
	emails  []SealRecipient // for the unauthenticated attribute
	signer  *Identity
	cms     func(ber []byte) []byte
	noEmail bool
}

func (w *world) sealHostile(t *testing.T, h hostile) []byte {
	t.Helper()
	mail := compose(t, w.draft())
	honest := w.seal(t, mail, nil)
	header, _, _ := strings.Cut(string(honest), "\r\n\r\n")
	if h.mail != nil {
		mail = h.mail(mail)
	}
	emails := func(list []SealRecipient) []byte {
		out := make([]RecipientEmail, len(list))
		for i, r := range list {
			out[i] = RecipientEmail{Address: r.Address, id: r.Certificate.id}
		}
		b, err := encodeRecipientEmails(out)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	signer := w.practice
	if h.signer != nil {
		signer = h.signer
	}
	req := signRequest{content: append([]byte("Content-Type: message/rfc822\r\n\r\n"), mail...), time: testTime}
	if !h.noEmail {
		req.extra = []attribute{{oid: oidRecipientEmails, values: emails(w.recipients)}}
	}
	signed, err := signCMS(req, signer)
	if err != nil {
		t.Fatal(err)
	}
	if h.signed != nil {
		signed = h.signed(signed)
	}
	layer := append([]byte("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\n"), signed...)
	if h.emails == nil {
		h.emails = w.recipients
	}
	ber, err := encryptCMS(rand.Reader, layer, w.recipients, emails(h.emails))
	if err != nil {
		t.Fatal(err)
	}
	if h.cms != nil {
		ber = h.cms(ber)
	}
	if h.outer != nil {
		header = h.outer(header)
	}
	var b bytes.Buffer
	b.WriteString(header + "\r\n\r\n")
	writeBase64(&b, ber)
	return b.Bytes()
}

func replace(old, new string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			panic("no " + old + " in " + s)
		}
		return strings.Replace(s, old, new, 1)
	}
}

func replaceBytes(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return []byte(replace(old, new)(string(b))) }
}

// Every check has one case here that only it can notice.
func TestEveryManipulationIsNoticed(t *testing.T) {
	w := newWorld(t)
	stranger := p256Identity(t)
	one := []SealRecipient{w.recipients[0]}
	for name, c := range map[string]struct {
		hostile
		want []Fault
	}{
		"nothing":                       {hostile{}, nil},
		"outer From":                    {hostile{outer: replace("From: =?utf-8?q?Praxis_Dr._J=C3=A4ger?= <praxis@", "From: <andere@")}, []Fault{FaultHeaderMismatch}},
		"outer To":                      {hostile{outer: replace("eau@kasse-a", "eau@kasse-b")}, []Fault{FaultHeaderMismatch}},
		"outer Cc added":                {hostile{outer: replace("\r\nTo:", "\r\nCc: x@y\r\nTo:")}, []Fault{FaultHeaderMismatch}},
		"outer Sender added":            {hostile{outer: replace("\r\nTo:", "\r\nSender: x@y\r\nTo:")}, []Fault{FaultHeaderMismatch}},
		"outer Reply-To":                {hostile{outer: replace("antwort@", "falle@")}, []Fault{FaultHeaderMismatch}},
		"outer Date":                    {hostile{outer: replace("09:30:00", "09:30:01")}, []Fault{FaultHeaderMismatch}},
		"outer Date in another zone":    {hostile{outer: replace("09:30:00 +0200", "07:30:00 +0000")}, nil},
		"outer Message-ID":              {hostile{outer: replace("<1@", "<2@")}, []Fault{FaultHeaderMismatch}},
		"outer Dienstkennung":           {hostile{outer: replace("Lieferung", "Storno-Arzt")}, []Fault{FaultHeaderMismatch}},
		"letter case of outer To":       {hostile{outer: replace("eau@kasse-a", "EAU@Kasse-A")}, nil},
		"content changed after signing": {hostile{signed: replaceBytes("Subject: TEAU0", "Subject: EEAU0")}, []Fault{FaultTampered}},
		"signed attribute changed":      {hostile{signed: replaceBytes("\x17\x0d260414073000Z", "\x17\x0d260414073001Z")}, []Fault{FaultTampered}},
		"certificate changed":           {hostile{signed: replaceBytes("Praxis TEST-ONLY", "Praxis TEST-onlY")}, []Fault{FaultTampered}},
		"signer without an anchor":      {hostile{signer: stranger}, []Fault{FaultChain}},
		"recipient left out":            {hostile{emails: one}, []Fault{FaultRecipients}},
		"recipients not signed":         {hostile{noEmail: true}, []Fault{FaultRecipients}},
		"sender not among recipients": {hostile{
			mail:  replaceBytes("<praxis@arzt.kim.telematik-test>", "<chef@arzt.kim.telematik-test>"),
			outer: replace("<praxis@arzt.kim.telematik-test>", "<chef@arzt.kim.telematik-test>"),
		}, []Fault{FaultSender}},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parse(t, w.sealHostile(t, c.hostile)).Open(w.options(t))
			if err != nil {
				t.Fatal(err)
			}
			got := o.Faults()
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("findings %v (-want +got):\n%s", o.Findings, diff)
			}
		})
	}
}

func TestAMailThatNobodySignedIsReadButReported(t *testing.T) {
	w := newWorld(t)
	o, err := parse(t, w.sealUnsigned(t)).Open(w.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Fault{FaultUnsigned}, o.Faults()); diff != "" || o.Signature.State != SignatureAbsent || len(o.Inner.Documents) != 1 {
		t.Errorf("findings %v, signature %v, %d documents", o.Findings, o.Signature.State, len(o.Inner.Documents))
	}
}

// sealUnsigned encrypts a mail that nobody signed.
func (w *world) sealUnsigned(t *testing.T) []byte {
	t.Helper()
	mail := compose(t, w.draft())
	h, _, err := readHeader(mail, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	ber, err := encryptCMS(rand.Reader, append([]byte("Content-Type: message/rfc822\r\n\r\n"), mail...), w.recipients, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	writeOuterHeader(&b, h, "")
	writeBase64(&b, ber)
	return b.Bytes()
}

func TestWhatCannotBeOpenedSaysWhy(t *testing.T) {
	w := newWorld(t)
	// flip changes the byte at an offset from the end of the CMS.
	flip := func(fromEnd int) func([]byte) []byte {
		return func(b []byte) []byte { b[len(b)-fromEnd] ^= 1; return b }
	}
	find := func(marker []byte, after int, change byte) func([]byte) []byte {
		return func(b []byte) []byte {
			i := bytes.Index(b, marker)
			if i < 0 {
				t.Fatalf("marker %x not found", marker)
			}
			b[i+len(marker)+after] ^= change
			return b
		}
	}
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	for name, c := range map[string]struct {
		change func([]byte) []byte
		want   Fault
	}{
		"MAC of the content": {find([]byte{0, 0, 0, 0, 0x04, 16}, 3, 1), FaultEnvelope},
		"ciphertext":         {flip(2000), FaultEnvelope},
		"cut off":            {cut, FaultEnvelope},
		"content type":       {find([]byte(oidAuthEnvelopedData)[:10], 0, 0x14), FaultEnvelope},
		"cipher":             {find([]byte(oidAES256GCM)[:8], 0, 4), FaultEnvelope},
		"nothing":            {func([]byte) []byte { return nil }, FaultEnvelope},
		"another curve": {func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(oidBrainpoolP256r1), []byte(oidBrainpoolP256r1[:8]+"\x09"))
		}, FaultEnvelope},
		"point that is not on curve": {func(b []byte) []byte { return flipAll(b, []byte("\x7f\x49\x43\x86\x41\x04"), 10) }, FaultEnvelope},
		"wrapped key":                {func(b []byte) []byte { return flipAll(b, []byte("\x86\x31\x02"), 10) }, FaultEnvelope},
		"padding indicator":          {func(b []byte) []byte { return flipAll(b, []byte("\x86\x31"), 0) }, FaultEnvelope},
		"MAC of the wrapped key":     {func(b []byte) []byte { return flipAll(b, []byte("\x8e\x08"), 3) }, FaultEnvelope},
		"unknown key transport":      {func(b []byte) []byte { return flipAll(b, []byte(oidTIECIES)[:7], 0) }, FaultEnvelope},
		"recipient is somebody else": {func(b []byte) []byte { return changeSerial(b, w.kasse.Certificate) }, FaultNoKey},
		"nonce of another length": {func(b []byte) []byte {
			return bytes.Replace(b, []byte{0x30, 17, 0x04, 12}, []byte{0x30, 17, 0x04, 11}, 1)
		}, FaultEnvelope},
		"tag of another length":       {func(b []byte) []byte { return bytes.Replace(b, []byte{0x02, 1, 16}, []byte{0x02, 1, 12}, 1) }, FaultEnvelope},
		"encrypted without integrity": {func(b []byte) []byte { return envelopedData() }, FaultEnvelope},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, w.sealHostile(t, hostile{cms: c.change})).Open(w.options(t))
			var open *OpenError
			if !errors.As(err, &open) || open.Fault != c.want {
				t.Errorf("error %v, want fault %d", err, c.want)
			}
		})
	}
	broken := func(*Recipient) ([]byte, error) { return nil, errors.New("token removed") }
	_, err := parse(t, w.seal(t, compose(t, w.draft()), nil)).Open(Options{Keys: decrypterFunc(broken)})
	var open *OpenError
	if !errors.As(err, &open) || open.Fault != FaultModule {
		t.Errorf("a token that fails: %v, want our own fault", err)
	}
	if _, ok := FaultModule.EAUCode(KindDelivery); ok {
		t.Error("a fault of ours has a code to send")
	}
}

type decrypterFunc func(*Recipient) ([]byte, error)

func (f decrypterFunc) OpenTransportKey(r *Recipient) ([]byte, error) { return f(r) }

func flipAll(b, marker []byte, after int) []byte {
	for i := 0; ; {
		j := bytes.Index(b[i:], marker)
		if j < 0 {
			return b
		}
		i += j + len(marker)
		b[i+after] ^= 1
	}
}

func changeSerial(b []byte, c *Certificate) []byte {
	want := []byte(c.id.issuer + "\x02\x02" + c.id.serial)
	return bytes.ReplaceAll(b, want, []byte(c.id.issuer+"\x02\x02\x01\x01"))
}

func envelopedData() []byte {
	return append([]byte{0x30, 0x80, 0x06, 9}, oidEnvelopedData+"\xa0\x80\x30\x80\x00\x00\x00\x00\x00\x00"...)
}

func TestTheDirectoryDecidesAboutTheSender(t *testing.T) {
	w := newWorld(t)
	raw := w.seal(t, compose(t, w.draft()), nil)
	for name, c := range map[string]struct {
		id    string
		known bool
		want  SenderBond
		fault bool
	}{
		"same Telematik-ID":  {practiceID, true, SenderProven, false},
		"other Telematik-ID": {"1-666", true, SenderDiffers, true},
		"address unknown":    {"", false, SenderListed, false},
	} {
		opt := w.options(t)
		opt.TelematikID = func(address string) (string, bool) {
			if address != practiceMail {
				t.Errorf("asked for %q", address)
			}
			return c.id, c.known
		}
		o, err := parse(t, raw).Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		if o.Sender != c.want || (len(o.Findings) == 1 && o.Findings[0].Fault == FaultSender) != c.fault {
			t.Errorf("%s: %v, findings %v", name, o.Sender, o.Findings)
		}
	}
}

func TestASenderCannotVouchForHimself(t *testing.T) {
	w := newWorld(t)
	d := w.draft()
	d.Delivered = true // result fields inside the signed mail
	o, err := parse(t, w.seal(t, compose(t, d), nil)).Open(w.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if o.Inner.Results.Present() {
		t.Errorf("results of the inner mail are believed: %+v", o.Inner.Results)
	}
}

func TestCertificatesMustBeValidWhenTheMailArrives(t *testing.T) {
	w := newWorld(t)
	raw := w.seal(t, compose(t, w.draft()), nil)
	for name, at := range map[string]time.Time{"before": testTime.AddDate(-2, 0, 0), "after": testTime.AddDate(5, 0, 0)} {
		opt := w.options(t)
		opt.At = at
		o, err := parse(t, raw).Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		if o.Signature.State != SignatureUntrusted || !o.Signature.NotValid || !strings.Contains(o.Signature.Detail, "is valid from") {
			t.Errorf("%s: %v, %s", name, o.Signature.State, o.Signature.Detail)
		}
	}
}

func TestTheWholeCMSMayComeInIndefiniteLengths(t *testing.T) {
	w := newWorld(t)
	o, err := parse(t, w.sealHostile(t, hostile{signed: func(der []byte) []byte { return toBER(t, der) }})).Open(w.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if o.Signature.State != SignatureTrusted || len(o.Findings) != 0 {
		t.Errorf("%v %s, findings %v", o.Signature.State, o.Signature.Detail, o.Findings)
	}
}

func TestAKASReferenceIsKeptAndNotFollowed(t *testing.T) {
	const body = "Message-ID: <c@x>\r\nX-KIM-Dienstkennung: KIM-Mail;Default;V1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Disposition: x-kas\r\n\r\n" +
		`{"link":"https://kas.kim.telematik-test/attachment/1","k":"AZtU","hash":"Wc14","size":27262976}` + "\r\n"
	m := parse(t, []byte(body))
	want := &KASReference{Link: "https://kas.kim.telematik-test/attachment/1", Key: "AZtU", Hash: "Wc14", Size: 27262976}
	if diff := cmp.Diff(want, m.KAS); diff != "" {
		t.Errorf("reference (-want +got):\n%s", diff)
	}
	if m := parse(t, []byte(strings.Replace(body, `"link"`, `link`, 1))); m.KAS != nil || len(m.Defects) != 1 {
		t.Errorf("damaged reference: %+v, defects %q", m.KAS, m.Defects)
	}
}

func decode64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

package kimmail

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// official reads a file of gematik's S/MIME sample, or skips.
func official(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../shared/data/kim/samples/x_SMIME-Profil", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("suite left out: gematik's S/MIME sample is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func officialKeys(t testing.TB, dir, file string) *Keyring {
	t.Helper()
	pairs, _, err := ParsePKCS12(official(t, filepath.Join(dir, file)), "00")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := NewKeyring(pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

var officialTime = time.Date(2020, 12, 14, 7, 20, 0, 0, time.UTC)

// The published sample was damaged before it was encrypted: every CR and LF of the
// binary SignedData became CRLF (the next test proves it). The mail inside opens, its
// signature cannot hold any more, and the finding says so.
func TestTheOfficialSampleOpensForBothRecipients(t *testing.T) {
	raw := official(t, "inputEmail.txt.05.encryptedwrap")
	for dir, file := range map[string]string{"recipientAkeys": "hci-enc-2-kim-bsp.p12", "recipientBkeys": "hci-enc-3-kim-bsp.p12"} {
		m := parse(t, raw)
		if m.Form != FormEnveloped || m.Subject != "KOM-LE-Nachricht" || m.Service.Kind() != KindMail {
			t.Fatalf("outer mail: %v, %q, %v", m.Form, m.Subject, m.Service)
		}
		o, err := m.Open(Options{Keys: officialKeys(t, dir, file), At: officialTime})
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		if diff := cmp.Diff([]Fault{FaultSignatureFormat}, o.Faults()); diff != "" || o.Signature.State != SignatureUnsupported {
			t.Errorf("%s: findings %v, signature %v", dir, o.Findings, o.Signature.State)
		}
		checkHello(t, o)
	}
}

// The same chain with the SignedData of stage 2, as it was before the damage, and
// the same envelope and keys: everything holds.
func TestTheOfficialSampleHoldsWithItsUndamagedSignature(t *testing.T) {
	m := parse(t, official(t, "inputEmail.txt.05.encryptedwrap"))
	env, err := readEnvelope(m.cms, m.lim)
	if err != nil {
		t.Fatal(err)
	}
	o := new(Opened)
	mail, err := o.unwrapSigned(official(t, "inputEmail.txt.02.signedcms"), m, env, Options{At: officialTime})
	if err != nil {
		t.Fatal(err)
	}
	if o.Signature.State != SignatureIntact || len(o.Findings) != 0 {
		t.Fatalf("signature %v (%s), findings %v", o.Signature.State, o.Signature.Detail, o.Findings)
	}
	if want := time.Date(2020, 12, 14, 7, 17, 5, 0, time.UTC); !o.Signature.Time.Equal(want) {
		t.Errorf("signed at %v, want %v", o.Signature.Time, want)
	}
	if id := o.Signature.Signer.TelematikID; id != "3-SMC-B-Testkarte-883110000096954" {
		t.Errorf("Telematik-ID %q", id)
	}
	o.Inner = parse(t, mail)
	checkHello(t, o)
	if diffs := compareHeaders(m, o.Inner); len(diffs) != 0 {
		t.Errorf("headers differ: %q", diffs)
	}
	if bond := o.bond(o.Inner, Options{}); bond != SenderListed {
		t.Errorf("sender %v", bond)
	}
}

func checkHello(t *testing.T, o *Opened) {
	t.Helper()
	if o.Inner.Subject != "Saying Hello" || len(o.Inner.Parts) != 1 ||
		strings.TrimSpace(o.Inner.Parts[0].Text()) != "This is a message just to say hello." {
		t.Errorf("inner mail %q, %d parts", o.Inner.Subject, len(o.Inner.Parts))
	}
}

// Each layer of the sample yields the next one, byte by byte.
func TestTheOfficialStagesFollowFromEachOther(t *testing.T) {
	m := parse(t, official(t, "inputEmail.txt.05.encryptedwrap"))
	if !bytes.Equal(m.cms, official(t, "inputEmail.txt.04.encryptedcms")) {
		t.Error("the unwrapped mail is not stage 4")
	}
	env, err := readEnvelope(official(t, "inputEmail.txt.04.encryptedcms"), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := env.open(officialKeys(t, "recipientAkeys", "hci-enc-2-kim-bsp.p12"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(plain, official(t, "inputEmail.txt.03.signedwrap")) {
		t.Error("the decrypted layer is not stage 3")
	}
	cms, isSigned, err := signedLayer(plain, DefaultLimits())
	if err != nil || !isSigned {
		t.Fatalf("no signed layer: %v", err)
	}
	signed := official(t, "inputEmail.txt.02.signedcms")
	lineEnds := regexp.MustCompile("(?s)\r\n|\r|\n")
	if bytes.Equal(cms, signed) || !bytes.Equal(cms, lineEnds.ReplaceAll(signed, []byte("\r\n"))) {
		t.Error("the signed layer is not stage 2 with converted line ends")
	}
	sd, err := readSignedData(signed, DefaultLimits())
	if err != nil || !bytes.Equal(sd.content, official(t, "inputEmail.txt.01.rfc822wrap")) {
		t.Errorf("the signed content is not stage 1: %v", err)
	}
	if content, ok := salvageContent(cms); !ok || !bytes.Equal(content, sd.content) {
		t.Error("the salvaged content is not stage 1")
	}
}

func TestTheOfficialSampleWithoutItsKey(t *testing.T) {
	ring, err := NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	_, err = parse(t, official(t, "inputEmail.txt.05.encryptedwrap")).Open(Options{Keys: ring})
	var open *OpenError
	if !errors.As(err, &open) || open.Fault != FaultNoKey || !errors.Is(err, ErrNoKey) {
		t.Errorf("error %v", err)
	}
}

// The sample's encryption certificates come with their CA; its signer's CA is not
// among them, so the signer leads to no anchor.
func TestTheOfficialCertificatesAndTheirCA(t *testing.T) {
	leaf, err := ParseCertificate(official(t, "recipientAkeys/hci-enc-2-kim-bsp.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if leaf.CommonName != "Zahnarztpraxis 2 KIM-Bsp TEST-ONLY" || leaf.TelematikID != "2-290002" || leaf.IsCA ||
		len(leaf.Emails) != 1 || leaf.Emails[0] != "zahnarzt@praxis.de" || leaf.Serial != "00ff22a88ffd24" {
		t.Errorf("certificate %+v", leaf)
	}
	root, sub := official(t, "recipientAkeys/GEM.RCA2-TEST-ONLY.crt"), official(t, "recipientAkeys/GEM.KOMP-CA24-TEST-ONLY.pem")
	trust, err := NewTrust([][]byte{root}, [][]byte{sub})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	if state, _, detail := trust.judge(leaf, nil, at); state != SignatureTrusted {
		t.Errorf("with its root: %v, %s", state, detail)
	}
	if state, _, _ := trust.judge(leaf, nil, at.AddDate(10, 0, 0)); state != SignatureUntrusted {
		t.Errorf("after its end: %v", state)
	}
	sd, err := readSignedData(official(t, "inputEmail.txt.02.signedcms"), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if sig := sd.verify(trust, officialTime); sig.State != SignatureUntrusted {
		t.Errorf("signature %v", sig.State)
	}
}

package kimmail

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openssl is the second implementation: it signs on brainpoolP256r1, agrees on keys,
// writes and reads CMS. TI-ECIES it does not know, but all steps of it.
type openssl struct {
	t   *testing.T
	dir string
}

func newOpenSSL(t *testing.T) *openssl {
	t.Helper()
	if testing.Short() {
		t.Skip("suite left out: OpenSSL as second implementation, in short tests")
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("suite left out: OpenSSL is not installed")
	}
	return &openssl{t: t, dir: t.TempDir()}
}

func (o *openssl) run(args ...string) []byte {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Dir = o.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		o.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

func (o *openssl) write(name string, b []byte) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), b, 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *openssl) read(name string) []byte {
	o.t.Helper()
	b, err := os.ReadFile(filepath.Join(o.dir, name))
	if err != nil {
		o.t.Fatal(err)
	}
	return b
}

func (o *openssl) writePEM(name, kind string, der []byte) {
	o.t.Helper()
	o.write(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// identity lets OpenSSL make a key and a self-signed certificate.
func (o *openssl) identity(name string, keyArgs ...string) KeyPair {
	o.t.Helper()
	o.run(append([]string{"genpkey", "-out", name + ".key", "-outform", "PEM"}, keyArgs...)...)
	o.run("req", "-x509", "-new", "-key", name+".key", "-out", name+".crt", "-days", "30", "-sha256", "-set_serial", "4711",
		"-subj", "/C=DE/O=Probe NOT-VALID/CN="+name+" TEST-ONLY", "-addext", "keyUsage=critical,digitalSignature,keyCertSign,keyAgreement,keyEncipherment")
	o.run("pkcs8", "-topk8", "-nocrypt", "-in", name+".key", "-outform", "DER", "-out", name+".p8")
	o.run("x509", "-in", name+".crt", "-outform", "DER", "-out", name+".der")
	key, err := ParsePrivateKey(o.read(name + ".p8"))
	if err != nil {
		o.t.Fatal(err)
	}
	cert, err := ParseCertificate(o.read(name + ".der"))
	if err != nil {
		o.t.Fatal(err)
	}
	pair := KeyPair{Certificate: cert, Key: key}
	if err := pair.check(); err != nil {
		o.t.Fatal(err)
	}
	return pair
}

var (
	genBrainpool = []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1", "-pkeyopt", "ec_param_enc:named_curve"}
	genRSA       = []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}
	genP256      = []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}
)

func TestOpenSSLAcceptsOurCertificatesAndSignatures(t *testing.T) {
	o, w := newOpenSSL(t), newWorld(t)
	der, err := signCMS(signRequest{content: []byte(testXML), time: testTime}, w.doctor)
	if err != nil {
		t.Fatal(err)
	}
	o.write("signed.der", der)
	o.writePEM("ca.crt", "CERTIFICATE", w.ca.Certificate.Raw)
	o.writePEM("doctor.crt", "CERTIFICATE", w.doctor.Certificate.Raw)
	at := "1776154200" // testTime: OpenSSL judges certificates by the clock otherwise
	o.run("verify", "-CAfile", "ca.crt", "-attime", at, "doctor.crt")
	sd, err := readSignedData(der, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	attrs := appendTLV(nil, sd.signers[0].signedAttrs, 0xa0)
	for name, cms := range map[string][]byte{"DER": der, "BER": toBER(t, der, w.doctor.Certificate.Raw, attrs)} {
		o.write("signed.der", cms)
		got := o.run("cms", "-verify", "-cades", "-inform", "DER", "-in", "signed.der", "-CAfile", "ca.crt", "-attime", at, "-purpose", "any", "-binary")
		if string(got) != testXML {
			t.Errorf("%s: content %q", name, got)
		}
	}
	text := string(o.run("x509", "-in", "doctor.crt", "-noout", "-text"))
	for _, want := range []string{"brainpoolP256r1", "ecdsa-with-SHA256", "registrationNumber: 1-99", "CA:FALSE", "Non Repudiation", "CN = \\C3\\84rztin TEST-ONLY"} {
		if !strings.Contains(text, want) {
			t.Errorf("certificate lacks %q:\n%s", want, text)
		}
	}
}

func TestWeAcceptOpenSSLsSignatures(t *testing.T) {
	o := newOpenSSL(t)
	o.write("content", []byte(testXML))
	for name, c := range map[string]struct{ gen, args []string }{
		"brainpool":        {genBrainpool, nil},
		"brainpool in BER": {genBrainpool, []string{"-stream", "-indef"}},
		"P-256":            {genP256, nil},
		"RSA-PSS":          {genRSA, []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:32"}},
		"RSA PKCS 1":       {genRSA, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := &openssl{t: t, dir: o.dir}
			id := o.identity("signer", c.gen...)
			o.run(append([]string{
				"cms", "-sign", "-cades", "-nodetach", "-binary", "-md", "sha256", "-in", "content", "-signer", "signer.crt",
				"-inkey", "signer.key", "-outform", "DER", "-out", "out.der",
			}, c.args...)...)
			out := o.read("out.der")
			if ber := bytes.HasPrefix(out, []byte{0x30, 0x80}); ber != strings.Contains(name, "BER") {
				t.Fatalf("OpenSSL wrote % x", out[:8])
			}
			sd, err := readSignedData(out, DefaultLimits())
			if err != nil || string(sd.content) != testXML {
				t.Fatalf("content %q, %v", sd.content, err)
			}
			trust, err := NewTrust([][]byte{o.read("signer.crt")}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if sig := sd.verify(trust, time.Now()); sig.State != SignatureTrusted || sig.Signer.CommonName != id.Certificate.CommonName {
				t.Errorf("%v: %s", sig.State, sig.Detail)
			}
			sd.content[20] ^= 1
			if sig := sd.verify(trust, time.Now()); sig.State != SignatureBroken {
				t.Errorf("changed content: %v", sig.State)
			}
		})
	}
}

func TestOpenSSLOpensOurRSAEnvelopeAndWeItsOwn(t *testing.T) {
	o := newOpenSSL(t)
	pair := o.identity("kasse", genRSA...)
	to := []SealRecipient{{kasseMail, pair.Certificate}, {practiceMail, newWorld(t).kasse.Certificate}}
	plain := bytes.Repeat([]byte("Klartext \r\n"), 1000)
	// Without unauthenticated attributes: OpenSSL 3.0 expects them under [3], RFC 5083
	// §2.1 (and gematik's sample) has [2].
	ber, err := encryptCMS(testRand(7), plain, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.write("sealed.der", ber)
	got := o.run("cms", "-decrypt", "-binary", "-inform", "DER", "-in", "sealed.der", "-inkey", "kasse.key", "-recip", "kasse.crt")
	if !bytes.Equal(got, plain) {
		t.Error("OpenSSL reads something else")
	}
	o.write("plain", plain)
	for name, args := range map[string][]string{"DER": nil, "BER": {"-stream", "-indef"}} {
		o.run(append([]string{
			"cms", "-encrypt", "-binary", "-aes-256-gcm", "-in", "plain", "-outform", "DER", "-out", "theirs.der",
			"-recip", "kasse.crt", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256",
		}, args...)...)
		env, err := readEnvelope(o.read("theirs.der"), DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ring, err := NewKeyring(pair)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := env.open(ring); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each step of TI-ECIES done by OpenSSL alone, on a cryptogram of ours.
func TestOpenSSLUnwrapsOurTransportKeyStepByStep(t *testing.T) {
	o := newOpenSSL(t)
	pair := o.identity("kasse", genBrainpool...)
	public, ok := pair.Certificate.PublicKey().(*BrainpoolKey)
	if !ok {
		t.Fatalf("key %T", pair.Certificate.PublicKey())
	}
	key := bytes.Repeat([]byte{0xa5, 0x17}, 16)
	wrapped, err := sealECIES(testRand(8), key, public)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseECIES(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := NewBrainpoolKey(c.point)
	if err != nil {
		t.Fatal(err)
	}
	spki, _, err := encodePublicKey(peer)
	if err != nil {
		t.Fatal(err)
	}
	o.writePEM("peer.pem", "PUBLIC KEY", spki)
	o.run("pkeyutl", "-derive", "-inkey", "kasse.key", "-peerkey", "peer.pem", "-out", "shared")
	shared := o.read("shared")
	keys := make([]string, 2)
	for i := range keys {
		o.write("kd", append(append([]byte{}, shared...), 0, 0, 0, byte(i+1)))
		keys[i] = hex.EncodeToString(o.run("dgst", "-sha256", "-binary", "kd"))
	}
	o.write("zero", make([]byte, 16))
	iv := hex.EncodeToString(o.run("enc", "-aes-256-ecb", "-nopad", "-K", keys[0], "-in", "zero"))
	o.write("c", c.c)
	plain := o.run("enc", "-d", "-aes-256-cbc", "-nopad", "-K", keys[0], "-iv", iv, "-in", "c")
	if want := append(append([]byte{}, key...), append([]byte{0x80}, make([]byte, 15)...)...); !bytes.Equal(plain, want) {
		t.Errorf("transport key %x", plain)
	}
	o.write("padded", append(append([]byte{}, c.c...), append([]byte{0x80}, make([]byte, 15)...)...))
	mac := strings.TrimSpace(string(o.run("mac", "-cipher", "AES-256-CBC", "-macopt", "hexkey:"+keys[1], "-in", "padded", "CMAC")))
	if want := strings.ToUpper(hex.EncodeToString(c.t)); !strings.HasPrefix(mac, want) {
		t.Errorf("MAC %s, ours is %s", mac, want)
	}
	ours, ok := pair.Key.(*BrainpoolPrivateKey)
	if !ok {
		t.Fatalf("key %T", pair.Key)
	}
	got, err := UnwrapECIES(ours, wrapped)
	if err != nil || !bytes.Equal(got, key) {
		t.Errorf("we unwrap %x, %v", got, err)
	}
}

func TestPKCS12FilesOfOpenSSLAreRead(t *testing.T) {
	o := newOpenSSL(t)
	for name, c := range map[string]struct{ gen, args []string }{
		"brainpool, AES-256":              {genBrainpool, nil},
		"brainpool, AES-128, SHA-1":       {genBrainpool, []string{"-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC", "-macalg", "sha1"}},
		"brainpool, as older tools wrote": {genBrainpool, []string{"-legacy"}},
		"brainpool, RC2 with 128 bits":    {genBrainpool, []string{"-legacy", "-certpbe", "PBE-SHA1-RC2-128"}},
		"brainpool, without MAC":          {genBrainpool, []string{"-nomac"}},
		"brainpool, certificate open":     {genBrainpool, []string{"-certpbe", "NONE"}},
		"brainpool, key open":             {genBrainpool, []string{"-keypbe", "NONE"}},
		"RSA":                             {genRSA, nil},
		"P-256":                           {genP256, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := &openssl{t: t, dir: o.dir}
			want := o.identity("kasse", c.gen...)
			o.run(append([]string{"pkcs12", "-export", "-in", "kasse.crt", "-inkey", "kasse.key", "-name", "Größe", "-passout", "pass:geheim-ü", "-out", "kasse.p12"}, c.args...)...)
			pairs, others, err := ParsePKCS12(o.read("kasse.p12"), "geheim-ü")
			if err != nil {
				t.Fatal(err)
			}
			if len(pairs) != 1 || len(others) != 0 || !bytes.Equal(pairs[0].Certificate.Raw, want.Certificate.Raw) {
				t.Errorf("%d pairs, %d others", len(pairs), len(others))
			}
			if _, _, err := ParsePKCS12(o.read("kasse.p12"), "falsch"); err == nil {
				t.Error("opens with a wrong password")
			}
		})
	}
}

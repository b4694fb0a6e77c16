package kimmail

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"
)

// chainOf makes root, n intermediate CAs and a leaf, each changed by the caller.
func chainOf(t *testing.T, n int, change func(i int, spec *CertificateSpec)) (certs []*Certificate) {
	t.Helper()
	issuer := &Identity{}
	for i := range n + 2 {
		key, err := GenerateBrainpoolKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		spec := CertificateSpec{
			CommonName: "Stufe " + string(rune('0'+i)) + " TEST-ONLY", Serial: int64(i + 1), PublicKey: key.Public(),
			NotBefore: testTime.AddDate(-1, 0, 0), NotAfter: testTime.AddDate(1, 0, 0), CA: i < n+1, ForSigning: true,
		}
		if change != nil {
			change(i, &spec)
		}
		if issuer.Key == nil {
			issuer.Key = key
		}
		cert, err := IssueCertificate(spec, issuer)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
		issuer = &Identity{Certificate: cert, Key: key}
	}
	return certs
}

func raws(certs ...*Certificate) (out [][]byte) {
	for _, c := range certs {
		out = append(out, c.Raw)
	}
	return out
}

func TestChainsLeadToAnAnchorOrNowhere(t *testing.T) {
	good := chainOf(t, 2, nil)
	other := chainOf(t, 0, nil)
	noCA := chainOf(t, 1, func(i int, s *CertificateSpec) { s.CA = i == 0 })
	late := chainOf(t, 1, func(i int, s *CertificateSpec) {
		if i == 1 {
			s.NotAfter = testTime.Add(-time.Hour)
		}
	})
	long := chainOf(t, maxChain+1, nil)
	reread := func(raw []byte) *Certificate {
		c, err := ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	flipped := append([]byte{}, good[3].Raw...)
	flipped[len(flipped)-1] ^= 1
	forged := reread(flipped)
	changedCA := reread(bytes.Replace(good[2].Raw, []byte("Stufe 2"), []byte("Stufe 9"), 1))
	for name, c := range map[string]struct {
		anchors, configured, sent []*Certificate
		leaf                      *Certificate
		want                      SignatureState
	}{
		"root, CAs configured":                  {good[:1], good[1:3], nil, good[3], SignatureTrusted},
		"root, CAs in the message":              {good[:1], nil, good[1:3], good[3], SignatureTrusted},
		"issuing CA as anchor":                  {good[2:3], nil, nil, good[3], SignatureTrusted},
		"the signer himself as anchor":          {good[3:], nil, nil, good[3], SignatureTrusted},
		"a CA is missing":                       {good[:1], nil, good[1:2], good[3], SignatureUntrusted},
		"another root":                          {other[:1], good[1:3], good[:1], good[3], SignatureUntrusted},
		"root only in the message":              {other[:1], nil, good[:3], good[3], SignatureUntrusted},
		"signed by a certificate that is no CA": {noCA[:1], noCA[1:2], nil, noCA[2], SignatureUntrusted},
		"CA expired":                            {late[:1], late[1:2], nil, late[2], SignatureUntrusted},
		"too long":                              {long[:1], long[1 : len(long)-1], nil, long[len(long)-1], SignatureUntrusted},
		"signature of the leaf forged":          {good[:1], good[1:3], nil, forged, SignatureUntrusted},
		"CA changed":                            {good[:1], []*Certificate{good[1], changedCA}, nil, good[3], SignatureUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			trust, err := NewTrust(raws(c.anchors...), raws(c.configured...))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time from memory
				if got, _, detail := trust.judge(c.leaf, c.sent, testTime); got != c.want {
					t.Errorf("%v: %s", got, detail)
				}
			}
		})
	}
}

func TestANetOfCertificatesEndsTheSearch(t *testing.T) {
	certs := chainOf(t, 1, nil)
	trust, err := NewTrust(raws(certs[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	// Copies of a CA that is its own issuer by name and key: every path goes on.
	var net []*Certificate
	stranger := chainOf(t, 0, nil)
	for i := range 15 {
		c := *stranger[0]
		c.Raw = append([]byte{byte(i)}, c.Raw...)
		net = append(net, &c)
	}
	start := time.Now()
	if state, _, _ := trust.judge(stranger[1], net, testTime); state != SignatureUntrusted {
		t.Errorf("state %v", state)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("the search took %v", d)
	}
}

func TestAnEncryptionCertificateDoesNotSign(t *testing.T) {
	w := newWorld(t)
	key, ok := w.sender.Key.(*BrainpoolPrivateKey)
	if !ok {
		t.Fatalf("key %T", w.sender.Key)
	}
	der, err := signCMS(signRequest{content: []byte("x"), time: testTime}, &Identity{Certificate: w.sender.Certificate, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	sd, err := readSignedData(der, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if sig := sd.verify(w.trust, testTime); sig.State != SignatureUntrusted || !strings.Contains(sig.Detail, "not for signing") {
		t.Errorf("%v: %s", sig.State, sig.Detail)
	}
}

// For P-256 and RSA the second opinion on certificates is crypto/x509.
func TestCertificatesReadAsCryptoX509ReadsThem(t *testing.T) {
	w := newWorld(t)
	p256 := p256Identity(t)
	for name, c := range map[string]*Certificate{"P-256": p256.Certificate, "RSA": w.kasseRSA.Certificate} {
		std, err := x509.ParseCertificate(c.Raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.CommonName != std.Subject.CommonName || c.IssuerName != std.Issuer.CommonName || !c.NotBefore.Equal(std.NotBefore) ||
			!c.NotAfter.Equal(std.NotAfter) || c.IsCA != std.IsCA || !bytes.Equal([]byte(c.keyID), std.SubjectKeyId) ||
			!bytes.Equal([]byte(c.authority), std.AuthorityKeyId) || !bytes.Equal(c.tbs, std.RawTBSCertificate) ||
			c.usage.digitalSignature != (std.KeyUsage&x509.KeyUsageDigitalSignature != 0) ||
			c.usage.keyAgreement != (std.KeyUsage&x509.KeyUsageKeyAgreement != 0) {
			t.Errorf("%s: %+v", name, c)
		}
		if key, ok := std.PublicKey.(interface{ Equal(x any) bool }); ok && !key.Equal(c.PublicKey()) {
			t.Errorf("%s: another key", name)
		}
	}
}

func TestDamagedCertificatesAreRefusedOrDiffer(t *testing.T) {
	raw := newWorld(t).doctor.Certificate.Raw
	for i := range raw {
		if _, err := ParseCertificate(raw[:i]); err == nil {
			t.Errorf("accepted when cut off at %d", i)
		}
		b := append([]byte{}, raw...)
		b[i] ^= 0x80
		if c, err := ParseCertificate(b); err == nil && bytes.Equal(c.Raw, raw) {
			t.Errorf("a change at %d is not seen", i)
		}
	}
}

func TestAnUnknownCriticalExtensionIsNotTrusted(t *testing.T) {
	certs := chainOf(t, 0, nil)
	trust, err := NewTrust(raws(certs[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf := *certs[1]
	leaf.unknownExt = true
	if state, _, detail := trust.judge(&leaf, nil, testTime); state != SignatureUntrusted || !strings.Contains(detail, "critical") {
		t.Errorf("%v: %s", state, detail)
	}
	// keyUsage (2.5.29.15) under an identifier that nobody knows (2.5.29.99)
	b := bytes.Replace(certs[1].Raw, []byte("\x06\x03\x55\x1d\x0f\x01\x01\xff"), []byte("\x06\x03\x55\x1d\x63\x01\x01\xff"), 1)
	c, err := ParseCertificate(b)
	if err != nil || !c.unknownExt {
		t.Errorf("extension not noticed: %v", err)
	}
}

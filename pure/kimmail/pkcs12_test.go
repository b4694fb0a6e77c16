package kimmail

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

// go-pkcs12 cannot hold brainpool keys; with the others it is the second opinion.
func TestPKCS12FilesOfAnotherWriterAreRead(t *testing.T) {
	w := newWorld(t)
	p256 := p256Identity(t)
	for name, enc := range map[string]*pkcs12.Encoder{"2023": pkcs12.Modern2023, "Triple-DES": pkcs12.LegacyDES, "RC2": pkcs12.LegacyRC2} {
		for kind, pair := range map[string]KeyPair{"RSA": w.kasseRSA, "P-256": {p256.Certificate, p256.Key}} {
			cert, err := x509.ParseCertificate(pair.Certificate.Raw)
			if err != nil {
				t.Fatal(err)
			}
			file, err := enc.Encode(pair.Key, cert, []*x509.Certificate{cert}, "Kennwort")
			if err != nil {
				t.Fatal(err)
			}
			pairs, others, err := ParsePKCS12(file, "Kennwort")
			if err != nil {
				t.Fatalf("%s, %s: %v", name, kind, err)
			}
			if len(pairs) != 1 || len(others) != 1 || !bytes.Equal(pairs[0].Certificate.Raw, pair.Certificate.Raw) {
				t.Errorf("%s, %s: %d pairs, %d others", name, kind, len(pairs), len(others))
			}
			switch key := pairs[0].Key.(type) {
			case *rsa.PrivateKey:
				if !key.Equal(pair.Key) {
					t.Error("another RSA key")
				}
			case *ecdsa.PrivateKey:
				if !key.Equal(pair.Key) {
					t.Error("another P-256 key")
				}
			default:
				t.Errorf("key %T", key)
			}
			if _, _, err := ParsePKCS12(file, "kennwort"); !errors.Is(err, ErrPassword) {
				t.Errorf("%s, %s: wrong password: %v", name, kind, err)
			}
		}
	}
}

func TestADamagedPKCS12FileIsRefused(t *testing.T) {
	w := newWorld(t)
	cert, err := x509.ParseCertificate(w.kasseRSA.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	file, err := pkcs12.Modern2023.WithRand(rand.Reader).WithIterations(10).Encode(w.kasseRSA.Key, cert, nil, "Kennwort")
	if err != nil {
		t.Fatal(err)
	}
	for i := range file {
		b := append([]byte{}, file...)
		b[i] ^= 1
		_, _, err := ParsePKCS12(b, "Kennwort")
		// Behind the outer headers up to the MAC everything is content.
		if content := i > 40 && i < len(file)-120; err == nil || content && !errors.Is(err, ErrPassword) {
			t.Fatalf("change at %d of %d: %v", i, len(file), err)
		}
	}
	for i := 0; i < len(file); i += 7 {
		if _, _, err := ParsePKCS12(file[:i], "Kennwort"); err == nil {
			t.Fatalf("accepted when cut off at %d", i)
		}
	}
}

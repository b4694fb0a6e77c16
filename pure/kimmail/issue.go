package kimmail

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // a key identifier needs no security (RFC 5280 §4.2.1.2)
	"crypto/sha256"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// CertificateSpec describes a certificate for tests and exercises. Cards and CAs of
// the Telematikinfrastruktur are never made here; put "TEST-ONLY" into the name.
type CertificateSpec struct {
	CommonName   string
	Organization string
	Serial       int64
	NotBefore    time.Time
	NotAfter     time.Time
	PublicKey    crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or *BrainpoolKey
	CA           bool
	ForSigning   bool // key usage digitalSignature and nonRepudiation, else keyAgreement and keyEncipherment
	Emails       []string
	TelematikID  string // written as registrationNumber of the Admission extension
}

// IssueCertificate writes and signs a certificate. An issuer without a certificate
// signs for himself: spec.PublicKey must then be his own.
func IssueCertificate(spec CertificateSpec, issuer *Identity) (*Certificate, error) {
	name := encodeName(spec)
	issuerName, issuerKeyID := name, ""
	if issuer.Certificate != nil {
		issuerName, issuerKeyID = []byte(issuer.Certificate.subject), issuer.Certificate.keyID
	}
	spki, keyID, err := encodePublicKey(spec.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate for %q: %w", spec.CommonName, err)
	}
	alg, _, err := signDigest(issuer.Key, make([]byte, sha256.Size))
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate for %q: %w", spec.CommonName, err)
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tagContext0.Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(2) })
		b.AddASN1Int64(spec.Serial)
		b.AddBytes(alg)
		b.AddBytes(issuerName)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1UTCTime(spec.NotBefore.UTC())
			b.AddASN1UTCTime(spec.NotAfter.UTC())
		})
		b.AddBytes(name)
		b.AddBytes(spki)
		b.AddASN1(asn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { spec.addExtensions(b, keyID, issuerKeyID) })
		})
	})
	tbs, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate for %q: %w", spec.CommonName, err)
	}
	digest := sha256.Sum256(tbs)
	_, sig, err := signDigest(issuer.Key, digest[:])
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate for %q: %w", spec.CommonName, err)
	}
	b = cryptobyte.NewBuilder(nil)
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(alg)
		b.AddASN1BitString(sig)
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate for %q: %w", spec.CommonName, err)
	}
	return ParseCertificate(der)
}

func encodeName(spec CertificateSpec) []byte {
	b := cryptobyte.NewBuilder(nil)
	rdn := func(b *cryptobyte.Builder, oid string, tag asn1.Tag, value string) {
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addOID(b, oid)
				b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
			})
		})
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		rdn(b, oidCountry, asn1.PrintableString, "DE")
		if spec.Organization != "" {
			rdn(b, oidOrganization, asn1.UTF8String, spec.Organization)
		}
		rdn(b, oidCommonName, asn1.UTF8String, spec.CommonName)
	})
	return b.BytesOrPanic() // nothing in it can fail but a name beyond 4 GiB
}

func encodePublicKey(public crypto.PublicKey) (spki []byte, keyID string, err error) {
	b := cryptobyte.NewBuilder(nil)
	var bits []byte
	ec := func(curve string) cryptobyte.BuilderContinuation {
		return func(b *cryptobyte.Builder) {
			addAlgorithm(b, oidECPublicKey, func(b *cryptobyte.Builder) { addOID(b, curve) })
		}
	}
	var alg cryptobyte.BuilderContinuation
	switch public := public.(type) {
	case *BrainpoolKey:
		bits, alg = public.Bytes(), ec(oidBrainpoolP256r1)
	case *ecdsa.PublicKey:
		if bits, err = public.Bytes(); err != nil {
			return nil, "", fmt.Errorf("encoding the public key: %w", err)
		}
		alg = ec(oidP256)
	case *rsa.PublicKey:
		k := cryptobyte.NewBuilder(nil)
		k.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1BigInt(public.N)
			b.AddASN1BigInt(big.NewInt(int64(public.E)))
		})
		if bits, err = k.Bytes(); err != nil {
			return nil, "", fmt.Errorf("encoding the public key: %w", err)
		}
		alg = func(b *cryptobyte.Builder) { addAlgorithm(b, oidRSAEncryption, nil) }
	default:
		return nil, "", fmt.Errorf("key of type %T is not supported", public)
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		alg(b)
		b.AddASN1BitString(bits)
	})
	id := sha1.Sum(bits) //nolint:gosec // see the import
	if spki, err = b.Bytes(); err != nil {
		return nil, "", fmt.Errorf("encoding the public key: %w", err)
	}
	return spki, string(id[:]), nil
}

func (spec *CertificateSpec) addExtensions(b *cryptobyte.Builder, keyID, issuerKeyID string) {
	ext := func(oid string, critical bool, value cryptobyte.BuilderContinuation) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, oid)
			if critical {
				b.AddASN1Boolean(true)
			}
			b.AddASN1(asn1.OCTET_STRING, value)
		})
	}
	ext(oidExtBasicConstr, true, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if spec.CA {
				b.AddASN1Boolean(true)
			}
		})
	})
	usage := byte(0x28) // keyEncipherment, keyAgreement
	switch {
	case spec.CA:
		usage = 0x06 // keyCertSign, cRLSign
	case spec.ForSigning:
		usage = 0xc0 // digitalSignature, nonRepudiation
	}
	ext(oidExtKeyUsage, true, func(b *cryptobyte.Builder) { b.AddASN1BitString([]byte{usage}) })
	ext(oidExtSubjectKeyID, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte(keyID)) })
	if issuerKeyID != "" {
		ext(oidExtAuthorityKeyID, false, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(tagContext0, func(b *cryptobyte.Builder) { b.AddBytes([]byte(issuerKeyID)) })
			})
		})
	}
	if len(spec.Emails) > 0 {
		ext(oidExtSubjectAltName, false, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, mail := range spec.Emails {
					b.AddASN1(tagContext1, func(b *cryptobyte.Builder) { b.AddBytes([]byte(mail)) })
				}
			})
		})
	}
	if spec.TelematikID != "" {
		ext(oidExtAdmission, false, spec.addAdmission)
	}
}

// addAdmission writes AdmissionSyntax with one ProfessionInfo that holds a
// registrationNumber (Common PKI part 1).
func (spec *CertificateSpec) addAdmission(b *cryptobyte.Builder) {
	nest := func(f cryptobyte.BuilderContinuation) cryptobyte.BuilderContinuation {
		return func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, f) }
	}
	info := func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(spec.Organization)) })
		})
		b.AddASN1(asn1.PrintableString, func(b *cryptobyte.Builder) { b.AddBytes([]byte(spec.TelematikID)) })
	}
	// AdmissionSyntax { contentsOfAdmissions { Admissions { professionInfos { ProfessionInfo } } } }
	nest(nest(nest(nest(nest(info)))))(b)
}

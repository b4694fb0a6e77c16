package kimmail

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Identity signs: a certificate and its private key. The key is an RSA key, an
// ECDSA key on P-256 or a *BrainpoolPrivateKey, in memory or behind a token.
type Identity struct {
	Certificate *Certificate
	Key         crypto.Signer
}

// signRequest is what one signature covers.
type signRequest struct {
	content []byte
	time    time.Time
	extra   []attribute // further signed attributes; values is the content of the SET
}

// signCMS writes DER: ContentInfo of SignedData with the content inside, one
// signer, his certificate alone, and the signed attributes of a CAdES-BES
// signature (ETSI EN 319 122-1): content type, digest, time, signing certificate.
func signCMS(req signRequest, id *Identity) ([]byte, error) {
	digest := sha256.Sum256(req.content)
	attrs := signedAttributes(req, digest[:], id.Certificate)
	toSign := sha256.Sum256(asSet(attrs))
	return encodeSigned(req.content, attrs, toSign[:], id)
}

// encodeSigned signs a digest and writes SignedData with these attributes.
func encodeSigned(content []byte, attrs [][]byte, toSign []byte, id *Identity) ([]byte, error) {
	sigAlg, sig, err := signDigest(id.Key, toSign)
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, len(content)+len(id.Certificate.Raw)+1024))
	addContentInfo(b, oidSignedData, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, oidSHA256, nil) })
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, oidData)
			b.AddASN1(tagContext0.Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
		})
		b.AddASN1(tagContext0.Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(id.Certificate.Raw) })
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				addIssuerSerial(b, id.Certificate.id)
				addAlgorithm(b, oidSHA256, nil)
				b.AddASN1(tagContext0.Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(attrs, nil)) })
				b.AddBytes(sigAlg)
				b.AddASN1OctetString(sig)
			})
		})
	})
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("writing SignedData: %w", err)
	}
	return out, nil
}

// signedAttributes returns the encoded attributes in DER order of a SET OF.
func signedAttributes(req signRequest, digest []byte, cert *Certificate) [][]byte {
	certHash := sha256.Sum256(cert.Raw)
	one := func(oid string, f cryptobyte.BuilderContinuation) []byte {
		b := cryptobyte.NewBuilder(nil)
		addAttribute(b, oid, f)
		return b.BytesOrPanic()
	}
	attrs := [][]byte{
		one(oidContentType, func(b *cryptobyte.Builder) { addOID(b, oidData) }),
		one(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }),
		// RFC 5035 §5.4.1: SHA-256 is the default algorithm and therefore absent.
		one(oidSigningCertV2, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(certHash[:]) })
				})
			})
		}),
	}
	if !req.time.IsZero() {
		attrs = append(attrs, one(oidSigningTime, func(b *cryptobyte.Builder) { b.AddASN1UTCTime(req.time.UTC()) }))
	}
	for _, a := range req.extra {
		attrs = append(attrs, one(a.oid, func(b *cryptobyte.Builder) { b.AddBytes(a.values) }))
	}
	slices.SortFunc(attrs, bytes.Compare)
	return attrs
}

// asSet is what the signature covers: the attributes as an explicit SET OF
// (RFC 5652 §5.4).
func asSet(attrs [][]byte) []byte {
	n := 0
	for _, a := range attrs {
		n += len(a)
	}
	out := appendLength(append(make([]byte, 0, n+5), 0x31), n)
	for _, a := range attrs {
		out = append(out, a...)
	}
	return out
}

// signDigest signs a SHA-256 digest: RSASSA-PSS with RSA keys, ECDSA otherwise.
func signDigest(key crypto.Signer, digest []byte) (alg, sig []byte, err error) {
	b := cryptobyte.NewBuilder(nil)
	var opts crypto.SignerOpts = crypto.SHA256
	switch key.Public().(type) {
	case *rsa.PublicKey:
		opts = &rsa.PSSOptions{SaltLength: sha256.Size, Hash: crypto.SHA256}
		addPSS(b)
	case *ecdsa.PublicKey, *BrainpoolKey:
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addOID(b, oidECDSAWithSHA256) })
	default:
		return nil, nil, fmt.Errorf("signing: key of type %T is not supported", key.Public())
	}
	if sig, err = key.Sign(rand.Reader, digest, opts); err != nil {
		return nil, nil, fmt.Errorf("signing: %w", err)
	}
	if alg, err = b.Bytes(); err != nil {
		return nil, nil, fmt.Errorf("signing: %w", err)
	}
	return alg, sig, nil
}

// addPSS writes RSASSA-PSS with SHA-256, MGF1 with SHA-256 and 32 bytes of salt
// (RFC 4055 §3.1).
func addPSS(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oidRSASSAPSS)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tagContext0.Constructed(), func(b *cryptobyte.Builder) { addAlgorithm(b, oidSHA256, nil) })
			b.AddASN1(tagContext1.Constructed(), addMGF1)
			b.AddASN1(asn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(sha256.Size) })
		})
	})
}

func addMGF1(b *cryptobyte.Builder) {
	addAlgorithm(b, oidMGF1, func(b *cryptobyte.Builder) { addAlgorithm(b, oidSHA256, nil) })
}

// addAlgorithm writes an AlgorithmIdentifier; without params it gets a NULL.
func addAlgorithm(b *cryptobyte.Builder, oid string, params cryptobyte.BuilderContinuation) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oid)
		if params == nil {
			b.AddASN1NULL()
			return
		}
		params(b)
	})
}

func addAttribute(b *cryptobyte.Builder, oid string, values cryptobyte.BuilderContinuation) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oid)
		b.AddASN1(asn1.SET, values)
	})
}

func addOID(b *cryptobyte.Builder, oid string) {
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(oid)) })
}

func addIssuerSerial(b *cryptobyte.Builder, id issuerSerial) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(id.issuer))
		b.AddASN1(asn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(id.serial)) })
	})
}

func addContentInfo(b *cryptobyte.Builder, oid string, content cryptobyte.BuilderContinuation) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oid)
		b.AddASN1(tagContext0.Constructed(), func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, content) })
	})
}

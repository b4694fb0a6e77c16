package kimmail

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/hex"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Certificate is an X.509 certificate as far as KIM needs it. crypto/x509 refuses
// brainpool keys, which every card of the Telematikinfrastruktur has.
type Certificate struct {
	Raw         []byte
	CommonName  string
	IssuerName  string // common name of the issuer
	Serial      string // hexadecimal
	NotBefore   time.Time
	NotAfter    time.Time
	Emails      []string // rfc822Name of the subject alternative names
	TelematikID string   // registrationNumber of the Admission extension
	IsCA        bool     // basicConstraints

	id         issuerSerial
	subject    string // raw Name
	keyID      string // subjectKeyIdentifier
	authority  string // keyIdentifier of the issuer
	usage      keyUsage
	pathLen    int    // -1: unbounded
	key        any    // *rsa.PublicKey, *ecdsa.PublicKey or *BrainpoolKey; nil if we know it not
	tbs        []byte // what is signed
	sigAlg     algorithm
	sig        []byte
	unknownExt bool // a critical extension that we do not understand
}

// keyUsage holds the bits of RFC 5280 §4.2.1.3 that matter; all set if absent.
type keyUsage struct{ digitalSignature, nonRepudiation, keyEncipherment, keyAgreement, certSign bool }

// PublicKey returns the *rsa.PublicKey, *ecdsa.PublicKey (P-256) or
// *BrainpoolKey, nil if the key is of another kind.
func (c *Certificate) PublicKey() any { return c.key }

// ParseCertificate reads one DER certificate.
func ParseCertificate(der []byte) (*Certificate, error) {
	in := cryptobyte.String(der)
	var outer, tbsElement cryptobyte.String
	c := &Certificate{Raw: der, pathLen: -1}
	c.usage = keyUsage{true, true, true, true, true}
	var sig []byte
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !outer.ReadASN1Element(&tbsElement, asn1.SEQUENCE) ||
		!readAlgorithm(&outer, &c.sigAlg) || !outer.ReadASN1BitStringAsBytes(&sig) {
		return nil, malformed("certificate")
	}
	c.Raw = der[:len(der)-len(in)]
	c.tbs, c.sig = tbsElement, sig
	var tbs cryptobyte.String
	if !tbsElement.ReadASN1(&tbs, asn1.SEQUENCE) || !tbs.SkipOptionalASN1(tagContext0.Constructed()) {
		return nil, malformed("certificate body")
	}
	return c, c.readBody(tbs)
}

func (c *Certificate) readBody(tbs cryptobyte.String) error {
	var serial, issuer, validity, subject, spki cryptobyte.String
	var alg algorithm
	if !tbs.ReadASN1(&serial, asn1.INTEGER) || len(serial) == 0 || !readAlgorithm(&tbs, &alg) ||
		!tbs.ReadASN1Element(&issuer, asn1.SEQUENCE) || !tbs.ReadASN1(&validity, asn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&subject, asn1.SEQUENCE) || !tbs.ReadASN1(&spki, asn1.SEQUENCE) {
		return malformed("certificate body")
	}
	if alg.oid != c.sigAlg.oid || string(alg.params) != string(c.sigAlg.params) {
		return malformed("certificate names two signature algorithms")
	}
	c.id = issuerSerial{issuer: string(issuer), serial: string(serial)}
	c.Serial = hex.EncodeToString(serial)
	c.subject = string(subject)
	c.CommonName, c.IssuerName = commonName(subject), commonName(issuer)
	if !readTime(&validity, &c.NotBefore) || !readTime(&validity, &c.NotAfter) {
		return malformed("validity of the certificate")
	}
	key, err := parsePublicKey(spki)
	if err != nil {
		return err
	}
	c.key = key
	var exts cryptobyte.String
	var present bool
	if !tbs.SkipOptionalASN1(asn1.Tag(1).ContextSpecific()) || !tbs.SkipOptionalASN1(asn1.Tag(2).ContextSpecific()) ||
		!tbs.ReadOptionalASN1(&exts, &present, asn1.Tag(3).ContextSpecific().Constructed()) {
		return malformed("certificate body")
	}
	if !present {
		return nil
	}
	return c.readExtensions(exts)
}

func (c *Certificate) readExtensions(in cryptobyte.String) error {
	var list cryptobyte.String
	if !in.ReadASN1(&list, asn1.SEQUENCE) {
		return malformed("certificate extensions")
	}
	for !list.Empty() {
		var ext, oid, value cryptobyte.String
		var critical bool
		if !list.ReadASN1(&ext, asn1.SEQUENCE) || !ext.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			!readDefaultFalse(&ext, &critical) || !ext.ReadASN1(&value, asn1.OCTET_STRING) {
			return malformed("certificate extension")
		}
		known, ok := c.readExtension(string(oid), value)
		if !ok {
			return malformed("certificate extension")
		}
		c.unknownExt = c.unknownExt || critical && !known
	}
	return nil
}

// readExtension takes what KIM needs; known is false for all others.
func (c *Certificate) readExtension(oid string, value cryptobyte.String) (known, ok bool) {
	switch oid {
	case oidExtBasicConstr:
		return true, c.readBasicConstraints(value)
	case oidExtKeyUsage:
		return true, c.readKeyUsage(value)
	case oidExtSubjectAltName:
		return true, c.readAltNames(value)
	case oidExtSubjectKeyID:
		var id cryptobyte.String
		ok = value.ReadASN1(&id, asn1.OCTET_STRING)
		c.keyID = string(id)
		return true, ok
	case oidExtAuthorityKeyID:
		var seq, id cryptobyte.String
		var present bool
		ok = value.ReadASN1(&seq, asn1.SEQUENCE) && seq.ReadOptionalASN1(&id, &present, tagContext0)
		c.authority = string(id)
		return true, ok
	case oidExtAdmission:
		c.TelematikID = admissionNumber(value, 0)
		return true, true
	case oidExtPolicies:
		return true, true // policies name the kind of card; nothing here depends on them
	}
	return false, true
}

func (c *Certificate) readBasicConstraints(value cryptobyte.String) bool {
	var seq cryptobyte.String
	if !value.ReadASN1(&seq, asn1.SEQUENCE) || !readDefaultFalse(&seq, &c.IsCA) {
		return false
	}
	if !seq.Empty() {
		return seq.ReadASN1Integer(&c.pathLen) && c.pathLen >= 0
	}
	return true
}

func (c *Certificate) readKeyUsage(value cryptobyte.String) bool {
	var bits cryptobyte.String
	if !value.ReadASN1(&bits, asn1.BIT_STRING) || len(bits) < 1 {
		return false
	}
	var first byte
	if len(bits) > 1 {
		first = bits[1]
	}
	c.usage = keyUsage{
		digitalSignature: first&0x80 != 0, nonRepudiation: first&0x40 != 0,
		keyEncipherment: first&0x20 != 0, keyAgreement: first&0x08 != 0, certSign: first&0x04 != 0,
	}
	return true
}

func (c *Certificate) readAltNames(value cryptobyte.String) bool {
	var seq cryptobyte.String
	if !value.ReadASN1(&seq, asn1.SEQUENCE) {
		return false
	}
	for !seq.Empty() {
		var name cryptobyte.String
		var tag asn1.Tag
		if !seq.ReadAnyASN1(&name, &tag) {
			return false
		}
		if tag == asn1.Tag(1).ContextSpecific() {
			c.Emails = append(c.Emails, string(name))
		}
	}
	return true
}

// admissionNumber finds the registrationNumber (Common PKI, AdmissionSyntax): the
// only PrintableString in the nested structure. gematik puts the Telematik-ID there.
func admissionNumber(in cryptobyte.String, depth int) string {
	const deepest = 8
	for !in.Empty() && depth < deepest {
		var content cryptobyte.String
		var tag asn1.Tag
		if !in.ReadAnyASN1(&content, &tag) {
			return ""
		}
		if tag == asn1.PrintableString {
			return string(content)
		}
		// A PrintableString inside a Name (the admissionAuthority, [4]) is none of ours.
		if tag == asn1.SEQUENCE || tag == tagContext0.Constructed() || tag == tagContext1.Constructed() {
			if id := admissionNumber(content, depth+1); id != "" {
				return id
			}
		}
	}
	return ""
}

func parsePublicKey(spki cryptobyte.String) (any, error) {
	var alg algorithm
	var bits []byte
	if !readAlgorithm(&spki, &alg) || !spki.ReadASN1BitStringAsBytes(&bits) {
		return nil, malformed("public key of the certificate")
	}
	switch alg.oid {
	case oidRSAEncryption:
		return parseRSAKey(bits)
	case oidECPublicKey:
		var curve cryptobyte.String
		if !alg.params.ReadASN1(&curve, asn1.OBJECT_IDENTIFIER) {
			return nil, nil // explicit parameters: gematik A_23511 forbids them
		}
		switch string(curve) {
		case oidP256:
			key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), bits)
			if err != nil {
				return nil, malformed("public key of the certificate: %v", err)
			}
			return key, nil
		case oidBrainpoolP256r1:
			return NewBrainpoolKey(bits)
		}
	}
	return nil, nil
}

func parseRSAKey(bits []byte) (any, error) {
	in := cryptobyte.String(bits)
	var seq cryptobyte.String
	n := new(big.Int)
	var e int
	const smallest, largest = 2048, 8192
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1Integer(n) || !seq.ReadASN1Integer(&e) {
		return nil, malformed("RSA key of the certificate")
	}
	if n.Sign() <= 0 || n.BitLen() < smallest || n.BitLen() > largest || e < 3 || e&1 == 0 || e > 1<<31-1 {
		return nil, nil // not a key we would trust
	}
	return &rsa.PublicKey{N: n, E: e}, nil
}

func readDefaultFalse(in *cryptobyte.String, out *bool) bool {
	*out = false
	if !in.PeekASN1Tag(asn1.BOOLEAN) {
		return true
	}
	return in.ReadASN1Boolean(out)
}

func readTime(in *cryptobyte.String, out *time.Time) bool {
	if in.PeekASN1Tag(asn1.UTCTime) {
		return in.ReadASN1UTCTime(out)
	}
	return in.ReadASN1GeneralizedTime(out)
}

// commonName finds the CN of a Name, for people only: never compared.
func commonName(name cryptobyte.String) string {
	var rdns cryptobyte.String
	if !name.ReadASN1(&rdns, asn1.SEQUENCE) {
		return ""
	}
	for !rdns.Empty() {
		var set, pair, oid, value cryptobyte.String
		var tag asn1.Tag
		if !rdns.ReadASN1(&set, asn1.SET) || !set.ReadASN1(&pair, asn1.SEQUENCE) ||
			!pair.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || !pair.ReadAnyASN1(&value, &tag) {
			return ""
		}
		if string(oid) == oidCommonName {
			return textUTF8(value, "utf-8")
		}
	}
	return ""
}

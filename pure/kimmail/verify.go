package kimmail

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // registers SHA-384 and SHA-512 for CA certificates
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SignatureState is what can be said about a signature. Only SignatureTrusted is a
// positive verdict about who signed, and even then revocation was not asked.
type SignatureState int

// From worst to best.
const (
	SignatureAbsent      SignatureState = iota // nobody signed
	SignatureUnsupported                       // format or algorithm that we do not check
	SignatureBroken                            // the content is not what was signed
	SignatureUntrusted                         // intact, but the certificate leads to no anchor
	SignatureIntact                            // intact, trust not checked: no anchors configured
	SignatureTrusted                           // intact, certificate chain up to an anchor, revocation not checked
)

// Text says the verdict in German.
func (s SignatureState) Text() string {
	switch s {
	case SignatureAbsent:
		return "keine Signatur"
	case SignatureUnsupported:
		return "Signatur in einem Format, das nicht geprüft wird"
	case SignatureBroken:
		return "Signatur passt nicht zum Inhalt"
	case SignatureUntrusted:
		return "Signatur unversehrt, Zertifikat führt zu keinem Vertrauensanker"
	case SignatureIntact:
		return "Signatur unversehrt, Vertrauen nicht geprüft"
	case SignatureTrusted:
		return "Signatur unversehrt, Zertifikat führt zu einem Vertrauensanker, Sperrstatus nicht geprüft"
	}
	return "keine Aussage"
}

// Intact tells whether the signature matches the content.
func (s SignatureState) Intact() bool {
	switch s {
	case SignatureUntrusted, SignatureIntact, SignatureTrusted:
		return true
	case SignatureAbsent, SignatureUnsupported, SignatureBroken:
	}
	return false
}

// Signature is the verdict on one signature.
type Signature struct {
	State  SignatureState
	Signer *Certificate // nil if it could not be told
	Time   time.Time    // as the signer claims, zero if he does not
	Detail string       // why the state is not better

	// NotValid: the certificate leads to an anchor but was outside its time, or is not
	// for signing. Untrusted without it may as well mean that an anchor is missing here.
	NotValid bool

	emails    []RecipientEmail // signed recipient-emails attribute
	hasEmails bool
}

// BundleFault is what the signature of a document means for an answer to its sender.
// Only what cannot be our own fault has one of the codes 201 to 204.
func (s Signature) BundleFault() Fault {
	switch s.State {
	case SignatureBroken:
		return FaultBundleTampered
	case SignatureUntrusted:
		if s.NotValid {
			return FaultBundleSigner
		}
		return FaultChain
	case SignatureUnsupported, SignatureAbsent:
		return FaultUnchecked
	case SignatureIntact, SignatureTrusted:
	}
	return FaultNone
}

// Verify checks the signature of the container that the document came in, and the
// signer's certificate at the given time. Several signatures: the worst counts.
func (d *Document) Verify(trust *Trust, at time.Time) Signature {
	if d.signed == nil {
		return Signature{State: SignatureAbsent}
	}
	return d.signed.verify(trust, at)
}

func (sd *signedData) verify(trust *Trust, at time.Time) Signature {
	if len(sd.signers) == 0 {
		return Signature{State: SignatureAbsent, Detail: "SignedData without a signer"}
	}
	const most = 8 // more would only be there to keep us busy
	if len(sd.signers) > most {
		return Signature{State: SignatureUnsupported, Detail: "too many signers"}
	}
	worst := sd.verifySigner(&sd.signers[0], trust, at)
	for i := range sd.signers[1:] {
		if s := sd.verifySigner(&sd.signers[i+1], trust, at); s.State < worst.State {
			worst = s
		}
	}
	return worst
}

func (sd *signedData) verifySigner(si *signerInfo, trust *Trust, at time.Time) Signature {
	var out Signature
	cert, others := sd.signerCertificate(si)
	if cert == nil {
		return Signature{State: SignatureUnsupported, Detail: "the signer's certificate is not in the container"}
	}
	out.Signer = cert
	if err := sd.checkAttributes(si, cert, &out); err != nil {
		out.State, out.Detail = stateOf(err), err.Error()
		return out
	}
	signed := sd.content
	if si.signedAttrs != nil {
		signed = append(appendLength([]byte{0x31}, len(si.signedAttrs)), si.signedAttrs...)
	}
	err := checkSignature(cert.key, si.signature, si.digest.oid, signed, si.value)
	if errors.Is(err, errMismatch) && si.signedAttrs != nil {
		// A sender that wrote his attributes unsorted signed them sorted.
		err = checkSignature(cert.key, si.signature, si.digest.oid, sortedSet(si.signedAttrs), si.value)
	}
	if err != nil {
		out.State, out.Detail = stateOf(err), err.Error()
		return out
	}
	out.State, out.NotValid, out.Detail = trust.judge(cert, others, at)
	if out.State == SignatureTrusted && !cert.usage.digitalSignature && !cert.usage.nonRepudiation {
		out.State, out.NotValid, out.Detail = SignatureUntrusted, true, "the certificate is not for signing"
	}
	return out
}

func stateOf(err error) SignatureState {
	if errors.Is(err, errMismatch) {
		return SignatureBroken
	}
	return SignatureUnsupported
}

var (
	errMismatch = errors.New("signature does not match")
	errAlg      = errors.New("signature algorithm is not supported")
)

// signerCertificate finds the signer's certificate and returns the readable others.
func (sd *signedData) signerCertificate(si *signerInfo) (cert *Certificate, others []*Certificate) {
	const most = 16
	for _, raw := range sd.certs[:min(len(sd.certs), most)] {
		c, err := ParseCertificate(raw)
		if err != nil {
			continue
		}
		named := c.id == si.sid
		if si.keyID != "" {
			named = c.keyID == si.keyID
		}
		if named && cert == nil {
			cert = c
		} else {
			others = append(others, c)
		}
	}
	return cert, others
}

// checkAttributes holds the signed attributes against content and certificate
// (RFC 5652 §5.4, §11; RFC 5035 §5; RFC 6211).
func (sd *signedData) checkAttributes(si *signerInfo, cert *Certificate, out *Signature) error {
	if sd.content == nil {
		return errors.New("the container holds no content")
	}
	if si.signedAttrs == nil {
		return nil
	}
	seen := make(map[string]bool, len(si.attrs))
	for _, a := range si.attrs {
		if seen[a.oid] {
			return malformed("signed attribute twice")
		}
		seen[a.oid] = true
		if err := sd.checkAttribute(a, si, cert, out); err != nil {
			return err
		}
	}
	if !seen[oidContentType] || !seen[oidMessageDigest] {
		return malformed("signed attributes without content type or digest")
	}
	return nil
}

func (sd *signedData) checkAttribute(a attribute, si *signerInfo, cert *Certificate, out *Signature) error {
	values := a.values
	switch a.oid {
	case oidContentType:
		var oid cryptobyte.String
		if !values.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || string(oid) != sd.contentType {
			return malformed("signed content type")
		}
	case oidMessageDigest:
		var digest cryptobyte.String
		if !values.ReadASN1(&digest, asn1.OCTET_STRING) {
			return malformed("signed digest")
		}
		hash, ok := hashOf(si.digest.oid)
		if !ok {
			return errAlg
		}
		if !bytes.Equal(digest, digestOf(hash, sd.content)) {
			return errMismatch
		}
	case oidSigningTime:
		if !readTime(&values, &out.Time) {
			return malformed("signing time")
		}
	case oidSigningCertV2:
		return checkSigningCertificate(values, cert)
	case oidAlgorithmProtect:
		return checkAlgorithmProtection(values, si)
	case oidRecipientEmails:
		var err error
		out.hasEmails = true
		out.emails, err = readRecipientEmails(values)
		return err
	}
	return nil
}

// checkSigningCertificate: the first ESSCertIDv2 must be the hash of the signer's
// certificate, so that nobody can exchange it for another with the same key.
func checkSigningCertificate(values cryptobyte.String, cert *Certificate) error {
	var attr, list, first, want cryptobyte.String
	if !values.ReadASN1(&attr, asn1.SEQUENCE) || !attr.ReadASN1(&list, asn1.SEQUENCE) || !list.ReadASN1(&first, asn1.SEQUENCE) {
		return malformed("signing certificate attribute")
	}
	alg := algorithm{oid: oidSHA256}
	if first.PeekASN1Tag(asn1.SEQUENCE) && !readAlgorithm(&first, &alg) {
		return malformed("signing certificate attribute")
	}
	hash, ok := hashOf(alg.oid)
	if !ok || !first.ReadASN1(&want, asn1.OCTET_STRING) {
		return malformed("signing certificate attribute")
	}
	if !bytes.Equal(want, digestOf(hash, cert.Raw)) {
		return errMismatch
	}
	return nil
}

// checkAlgorithmProtection: digest and signature algorithm repeated inside (RFC 6211).
func checkAlgorithmProtection(values cryptobyte.String, si *signerInfo) error {
	var seq, sigAlg cryptobyte.String
	var digest, signature algorithm
	if !values.ReadASN1(&seq, asn1.SEQUENCE) || !readAlgorithm(&seq, &digest) ||
		!seq.ReadASN1(&sigAlg, tagContext1.Constructed()) {
		return malformed("algorithm protection attribute")
	}
	var oid cryptobyte.String
	if !sigAlg.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) {
		return malformed("algorithm protection attribute")
	}
	signature = algorithm{oid: string(oid), params: sigAlg}
	if digest.oid != si.digest.oid || signature.oid != si.signature.oid || !bytes.Equal(signature.params, si.signature.params) {
		return errMismatch
	}
	return nil
}

// sortedSet returns the attributes as a SET OF in the order of DER.
func sortedSet(attrs []byte) []byte {
	var list [][]byte
	for in := cryptobyte.String(attrs); !in.Empty(); {
		var one cryptobyte.String
		var tag asn1.Tag
		if !in.ReadAnyASN1Element(&one, &tag) {
			return nil
		}
		list = append(list, one)
	}
	slices.SortFunc(list, bytes.Compare)
	return asSet(list)
}

func hashOf(oid string) (crypto.Hash, bool) {
	switch oid {
	case oidSHA256:
		return crypto.SHA256, true
	case oidSHA384:
		return crypto.SHA384, true
	case oidSHA512:
		return crypto.SHA512, true
	}
	return 0, false
}

func digestOf(hash crypto.Hash, b []byte) []byte {
	if hash == crypto.SHA256 {
		d := sha256.Sum256(b)
		return d[:]
	}
	h := hash.New()
	h.Write(b)
	return h.Sum(nil)
}

// checkSignature verifies sig over signed. digestOID is the digest algorithm named
// beside the signature algorithm; where both name one they must agree.
func checkSignature(key any, alg algorithm, digestOID string, signed, sig []byte) error {
	hash, ok := signatureHash(alg, digestOID)
	if !ok {
		return errAlg
	}
	digest := digestOf(hash, signed)
	valid := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		switch alg.oid {
		case oidRSASSAPSS:
			salt, ok := pssSalt(alg.params)
			if !ok {
				return errAlg
			}
			valid = rsa.VerifyPSS(key, hash, digest, sig, &rsa.PSSOptions{SaltLength: salt, Hash: hash}) == nil
		case oidRSAEncryption, oidSHA256WithRSA, oidSHA384WithRSA, oidSHA512WithRSA:
			valid = rsa.VerifyPKCS1v15(key, hash, digest, sig) == nil
		default:
			return errAlg
		}
	case *ecdsa.PublicKey:
		if !isECDSA(alg.oid) {
			return errAlg
		}
		valid = ecdsa.VerifyASN1(key, digest, sig)
	case *BrainpoolKey:
		if !isECDSA(alg.oid) {
			return errAlg
		}
		valid = key.Verify(digest, sig)
	default:
		return errAlg
	}
	if !valid {
		return errMismatch
	}
	return nil
}

func isECDSA(oid string) bool {
	return oid == oidECDSAWithSHA256 || oid == oidECDSAWithSHA384 || oid == oidECDSAWithSHA512
}

// signatureHash says which hash a signature algorithm uses.
func signatureHash(alg algorithm, digestOID string) (crypto.Hash, bool) {
	oid := digestOID
	switch alg.oid {
	case oidECDSAWithSHA256, oidSHA256WithRSA:
		oid = oidSHA256
	case oidECDSAWithSHA384, oidSHA384WithRSA:
		oid = oidSHA384
	case oidECDSAWithSHA512, oidSHA512WithRSA:
		oid = oidSHA512
	case oidRSASSAPSS:
		oid = pssHash(alg.params)
	case oidRSAEncryption:
	default:
		return 0, false
	}
	if digestOID != "" && digestOID != oid {
		return 0, false
	}
	return hashOf(oid)
}

// pssHash returns the hash of RSASSA-PSS-params (RFC 4055 §3.1) if the mask
// generation uses the same, else "".
func pssHash(params cryptobyte.String) string {
	var seq, hash, mgf cryptobyte.String
	var alg, mgfAlg, mgfHash algorithm
	if !params.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&hash, tagContext0.Constructed()) ||
		!readAlgorithm(&hash, &alg) || !seq.ReadASN1(&mgf, tagContext1.Constructed()) ||
		!readAlgorithm(&mgf, &mgfAlg) || mgfAlg.oid != oidMGF1 || !readAlgorithm(&mgfAlg.params, &mgfHash) ||
		mgfHash.oid != alg.oid {
		return ""
	}
	return alg.oid
}

// pssSalt returns the length of the salt, 20 if absent.
func pssSalt(params cryptobyte.String) (int, bool) {
	var seq, salt cryptobyte.String
	var present bool
	length := 20
	if !params.ReadASN1(&seq, asn1.SEQUENCE) || !seq.SkipOptionalASN1(tagContext0.Constructed()) ||
		!seq.SkipOptionalASN1(tagContext1.Constructed()) ||
		!seq.ReadOptionalASN1(&salt, &present, tagContext2.Constructed()) ||
		(present && !salt.ReadASN1Integer(&length)) || length < 0 || length > 64 {
		return 0, false
	}
	return length, true
}
